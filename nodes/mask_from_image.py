"""A mask that was painted as a picture of its own."""

from typing import Annotated

from pydantic import Field

from engine.context import Context
from engine.node import Node, Output
from nodes.values import Image, Mask


class MaskMade(Output):
    """Masks: 255 (repaint) where a picture is white, 0 (keep) where it is black."""

    mask: Mask


class MaskFromImage(Node[MaskMade]):
    """Take pictures as masks: white is repainted, black is kept, grey is between. A1111's masks are of this kind."""

    image: Image
    invert: Annotated[bool, Field(description="Black is repainted instead.")] = False

    def run(self, ctx: Context) -> MaskMade:
        """Take the brightness of each picture of the batch (ITU-R 601-2)."""
        from nodes.pictures.composite import brightness

        return MaskMade(mask=brightness(self.image, invert=self.invert))
