"""Pictures with every colour turned into its opposite."""

from engine.context import Context
from engine.node import Node, Output
from nodes.values import Array, Image


class Inverted(Output):
    """The pictures, black where they were white."""

    image: Image


class Invert(Node[Inverted]):
    """Turn every colour into its opposite: black lines on white become the white lines on black of ControlNets."""

    image: Image

    def run(self, ctx: Context) -> Inverted:
        """Invert each byte."""
        pixels = self.image.pixels
        opposite = bytes(range(255, -1, -1))
        turned = Array(pixels.dtype, pixels.shape, pixels.data.translate(opposite))
        return Inverted(image=Image(turned, self.image.seeds))
