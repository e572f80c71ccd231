"""One picture over another, where a mask says so."""

from typing import Annotated

from pydantic import Field

from engine.context import Context
from engine.node import Node, Output
from nodes.values import Image, Mask


class ImageComposed(Output):
    """The pictures, of the size of those below."""

    image: Image


class Composite(Node[ImageComposed]):
    """Lay pictures over others where a mask says so: what was repainted over what it was painted on.

    Pixels that the blurred mask does not reach keep their bits. A batch goes over a batch one by one; of either, and of
    masks, one may do for all. What was drawn from a picture whose edges are no multiples of 8 lies where EncodeImage
    cut it out; other sizes must be equal. As ComfyUI's ImageCompositeMasked at 0, 0, and A1111's inpainting.
    """

    below: Annotated[Image, Field(description="What is seen where the mask is 0.")]
    above: Annotated[Image, Field(description="What is seen where the mask is 255.")]
    mask: Annotated[Mask, Field(description="Where to look at the picture above, in pixels of the one below.")]
    blur: Annotated[float, Field(ge=0, le=64, description="Softness of the mask's edge, in pixels.")] = 4.0

    def run(self, ctx: Context) -> ImageComposed:
        """Compose each picture of the batch; raises NovaError where sizes or numbers do not fit."""
        from nodes.pictures.composite import composed

        return ImageComposed(image=composed(self.below, self.above, self.mask, self.blur, ctx.check))
