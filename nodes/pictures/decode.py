"""A stranger's file to pixels, within bounds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import AssetRefused
from nodes.pictures.batches import Picture
from nodes.pictures.formats import DAMAGE, open_picture

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture and its opacity: `alpha` is height x width bytes, 255 is opaque; None where the file has none."""

    picture: Picture
    alpha: bytes | None


def decode_picture(data: bytes, what: str = "the picture") -> Decoded:
    """Decode a PNG, JPEG or WebP file; raises AssetRefused, which calls the file `what`.

    Turned upright as its EXIF says; the first frame of an animation; 16-bit greys keep their upper 8 bits; the colours
    under transparent pixels are kept as stored.
    """
    image = open_picture(data, what)
    try:
        return _decoded(image)
    except DAMAGE as error:
        raise AssetRefused(f"{what} is damaged or cut short: {error}", hint="Fetch or save it again.") from error


def _decoded(opened: "Image") -> Decoded:
    from PIL import ImageOps

    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I"):
        image = image.point(lambda grey: grey * (1 / 256)).convert("L")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A").tobytes()
        return Decoded(_picture(image.convert("RGB")), alpha)
    return Decoded(_picture(image.convert("RGB")), None)


def _picture(image: "Image") -> Picture:
    return Picture(image.width, image.height, image.tobytes())
