"""A ControlNet on a model."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from pydantic import Field

from engine.assets import AssetPort
from engine.context import Context
from engine.errors import NovaError
from engine.node import Node, Output
from nodes.values import Control, ControlNetwork, Image, Model, Weights

if TYPE_CHECKING:
    from nodes.sdxl.control_file import ControlFile

Share = Annotated[float, Field(ge=0, le=1)]

Kind = Literal["openpose", "depth", "soft_edge", "line", "normal", "segment", "tile"]
"""The kinds of pictures that union ControlNets follow, in the order in which they number them."""


class Controlled(Output):
    """The model with the ControlNet added."""

    model: Model


class ControlNet(Node[Controlled]):
    """Let a model follow a picture: lines, a depth map, a skeleton; several are chained, and add up.

    The picture is what the ControlNet was trained on, already made of a photo or drawing by a preprocessor. It is
    brought to the size of what is drawn as diffusers does: stretched, with Lanczos; to crop it, put ResizeImage before.
    The prompt and the negative prompt follow it alike (A1111's "Balanced"). FaceDetailer does not follow it.
    """

    version: ClassVar[int] = 1

    model: Annotated[Model, Field(description="The model that is to follow.")]
    image: Annotated[Image, Field(description="What to follow: one picture for all, or one for each that is drawn.")]
    controlnet: Annotated[
        str, AssetPort("controlnet"), Field(description="A path, or a name in models.lock; none adds nothing.")
    ]
    strength: Annotated[float, Field(ge=0, le=10, description="How strongly; 0 turns it off.")] = 1.0
    start: Annotated[Share, Field(description="Part of the steps before it begins.")] = 0.0
    end: Annotated[Share, Field(description="Part of the steps after which it ends.")] = 1.0
    kind: Annotated[
        Kind | None,
        Field(
            description="What the picture is, for a union ControlNet: soft_edge is also scribbles, line also canny, "
            "anime line art and mlsd; tile needs ProMax."
        ),
    ] = None

    def run(self, ctx: Context) -> Controlled:
        """Read the header of the ControlNet.

        Raises NovaError where it would end before it begins or does not know the kind of picture, AssetRefused where it
        is none, or none for SDXL.
        """
        from nodes.sdxl.control_file import inspect_control_net

        if self.start >= self.end:
            raise NovaError(
                f"the ControlNet would begin at {self.start:g} of the steps and end at {self.end:g}, so it would do "
                "nothing",
                hint="Make start smaller than end, or turn it off with a strength of 0.",
            )
        found = ctx.asset("controlnet")
        if found.path is None:
            return Controlled(model=self.model)
        kind = _number_of(self.kind, inspect_control_net(found.path))
        if not self.strength:
            return Controlled(model=self.model)
        network = ControlNetwork(Weights(found.sha256, found.path.name))
        control = Control(network, self.image, self.strength, self.start, self.end, kind)
        return Controlled(model=replace(self.model, controls=(*self.model.controls, control)))


def _number_of(kind: Kind | None, file: "ControlFile") -> int | None:
    """Return by which number a ControlNet knows a kind of picture; raises NovaError where it does not."""
    if file.union is None:
        if kind is None:
            return None
        raise NovaError(
            f"{file.name} follows one kind of pictures and cannot be told that this one is {kind}",
            hint="Leave kind out; it is for union ControlNets.",
        )
    known = get_args(Kind)[: file.union.kinds]
    if kind is None:
        raise NovaError(
            f"{file.name} is a union ControlNet, which must be told what the picture is",
            hint=f"Set kind to {', '.join(known[:-1])} or {known[-1]}.",
        )
    if kind not in known:
        raise NovaError(
            f"{file.name} does not know the kind {kind}",
            hint=f"It knows {', '.join(known)}; tile comes with the files that are called ProMax.",
        )
    return known.index(kind)
