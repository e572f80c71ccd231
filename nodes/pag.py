"""Perturbed-attention guidance as a value."""

from typing import Annotated, ClassVar

from pydantic import Field

from engine import Context, Node, Output
from nodes.values import Guidance

Layer = Annotated[
    str, Field(pattern=r"^(mid|(down|up)\.[0-9]{1,2})(\.attentions\.[0-9]{1,2}(\.transformer_blocks\.[0-9]{1,2})?)?$")
]


class PAGGuidance(Output):
    """What PAG returns."""

    guidance: Guidance = Field(description="For a Sampler.")


class PAG(Node[PAGGuidance]):
    """Guide the sampler away from a picture drawn with perturbed self-attention, towards better structure.

    Costs half as much again as plain guidance. Changes nothing by itself and loads nothing.
    """

    version: ClassVar[int] = 1

    scale: Annotated[float, Field(ge=0, le=100, description="How strongly; 0 turns it off, 3 is usual.")] = 3.0
    layers: Annotated[
        tuple[Layer, ...],
        Field(min_length=1, description="Where: `mid`, `down.1`, `up.0`, or within them as `up.0.attentions.1`."),
    ] = ("mid",)

    def run(self, ctx: Context) -> PAGGuidance:
        """Return the guidance."""
        return PAGGuidance(guidance=Guidance(self.scale, self.layers))
