"""How a node is declared: a typed model whose fields are its input ports."""

from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from engine.context import Context


class Output(BaseModel):
    """Base of what nodes return; the fields are the output ports."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Out = TypeVar("Out", bound=Output)


class Node(BaseModel, Generic[Out]):
    """Base of all nodes: fields are input ports, the type argument lists the output ports, `run` does the work.

    An instance is the resolved call: every reference replaced by its value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    version: ClassVar[int] = 1
    """Part of every key: raise it when the same inputs give another result, or a default changes."""

    device: ClassVar[bool] = False
    """Computes on the device: such nodes run one at a time, and the environment is part of their keys."""

    pure: ClassVar[bool] = True
    """The outputs depend on nothing but the inputs; set False, and neither this node nor what follows it is cached."""

    stored: ClassVar[bool] = True
    """Keep the outputs in the cache folder too, not only in memory."""

    writes_provenance: ClassVar[bool] = False
    """Puts `ctx.provenance` into its outputs: then ids, names and the description of the graph are part of its key."""

    def run(self, ctx: Context) -> Out:
        """Compute the outputs."""
        raise NotImplementedError
