"""Pictures to another size."""

from typing import Annotated, Literal

from pydantic import Field

from engine.context import Context
from engine.node import Node, Output
from nodes.fitting import Fitting
from nodes.values import Image, Model

Side = Annotated[int | None, Field(ge=8, le=8192, multiple_of=8)]


class ImageResized(Output):
    """The pictures at their new size."""

    image: Image


class ResizeImage(Node[ImageResized]):
    """Resize pictures, for instance between two samplers to draw in two passes.

    Sides are multiples of 8 pixels; `scale` counts on top. With a `model` and neither side given, pictures whose area
    is more than 1.5 times larger or smaller than the model's native one are brought to that; others keep their size.
    """

    image: Image
    width: Annotated[Side, Field(description="In pixels; empty follows the height.")] = None
    height: Annotated[Side, Field(description="In pixels; empty follows the width.")] = None
    scale: Annotated[float, Field(gt=0, le=8, description="How many times larger.")] = 1.0
    resize: Fitting = "crop"
    method: Annotated[
        Literal["lanczos", "bicubic", "bilinear", "nearest"], Field(description="How pixels are interpolated.")
    ] = "lanczos"
    model: Annotated[Model | None, Field(description="Bring pictures near its native size; empty: as they are.")] = None

    def run(self, ctx: Context) -> ImageResized:
        """Resize each picture of the batch."""
        from nodes.pictures.batches import join_pictures, split_image
        from nodes.pictures.resize import resize_picture, sides_near, target_size

        resized = []
        for picture in split_image(self.image):
            ctx.check()
            own, sides = (picture.width, picture.height), (self.width, self.height)
            if self.model is not None and sides == (None, None):
                sides = sides_near(own, self.model.size)
            size = target_size(own, *sides, self.scale, self.resize)
            resized.append(resize_picture(picture, size, self.resize, self.method))
        return ImageResized(image=join_pictures(resized, self.image.seeds))
