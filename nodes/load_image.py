"""A picture file into the graph."""

from typing import Annotated

from pydantic import Field

from engine.assets import AssetPort
from engine.context import Context
from engine.node import Node, Output
from nodes.fitting import Fitting
from nodes.values import Image, Mask

Side = Annotated[int | None, Field(ge=8, le=8192, multiple_of=8)]


class ImageLoaded(Output):
    """The picture, and its mask: 255 (repaint) where the picture is clear, 0 (keep) where it is opaque."""

    image: Image
    mask: Mask


class LoadImage(Node[ImageLoaded]):
    """Load a PNG, JPEG or WebP picture.

    It is turned upright as its EXIF says; of an animation the first frame is read. The cache goes by the content of the
    file, not by its name.
    """

    picture: Annotated[str, AssetPort("image"), Field(description="Where the picture is: a path.")]
    width: Annotated[Side, Field(description="Resize to this many pixels; empty follows the height.")] = None
    height: Annotated[Side, Field(description="Resize to this many pixels; empty follows the width.")] = None
    resize: Fitting = "crop"

    def run(self, ctx: Context) -> ImageLoaded:
        """Decode the file; raises AssetRefused where it is not a picture, damaged or too large."""
        from nodes.pictures.load import load_picture

        found = ctx.asset("picture")
        image, mask = load_picture(found, (self.width, self.height), self.resize)
        return ImageLoaded(image=image, mask=mask)
