"""Between a batch of pictures on an edge and single pictures."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from nodes.values import Array, Image, Mask

_RGB = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: `rgb` is height x width x 3 bytes, row by row, sRGB."""

    width: int
    height: int
    rgb: bytes

    @property
    def sha256(self) -> str:
        """The identity of the pixels in any file format: sha256 of `<width>x<height>`, a newline, and the bytes."""
        digest = hashlib.sha256(f"{self.width}x{self.height}\n".encode())
        digest.update(self.rgb)
        return digest.hexdigest()


def split_image(image: Image) -> tuple[Picture, ...]:
    """Return the pictures of a batch; raises ValueError where the bytes do not fill the shape."""
    count, height, width, channels = image.pixels.shape
    size = height * width * channels
    if channels != _RGB or image.pixels.dtype != "U8" or len(image.pixels.data) != count * size:
        raise ValueError(f"an image is U8 [batch, height, width, 3], not {image.pixels.dtype} {image.pixels.shape}")
    data = image.pixels.data
    return tuple(Picture(width, height, data[index * size : (index + 1) * size]) for index in range(count))


def join_pictures(pictures: Sequence[Picture], seeds: tuple[int, ...] = ()) -> Image:
    """Return pictures of one size as a batch; raises ValueError for different sizes."""
    width, height = pictures[0].width, pictures[0].height
    if any((picture.width, picture.height) != (width, height) for picture in pictures):
        raise ValueError("the pictures of a batch must have one size")
    pixels = Array("U8", (len(pictures), height, width, 3), b"".join(picture.rgb for picture in pictures))
    return Image(pixels, seeds)


def single_mask(width: int, height: int, weight: bytes) -> Mask:
    """Return one mask as a batch; `weight` is height x width bytes, 255 is repainted."""
    return Mask(Array("U8", (1, height, width), weight))
