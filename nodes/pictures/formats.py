"""The three file formats, and how to open a file of a stranger in one of them."""

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Literal

from engine.errors import AssetRefused

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

Format = Literal["png", "webp", "jpeg"]

MEDIA_TYPES: dict[Format, str] = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}

MAX_BYTES = 128 * 2**20
"""The largest picture file that is read."""

MAX_PIXELS = 50_000_000
"""The largest picture that is decoded; 150 MB as RGB."""

DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError),
    *(struct.error, zlib.error, Warning),
)
"""What Pillow's decoders raise on damaged files; its warnings among them, for when Python turns those into errors."""


def sniff_format(data: bytes) -> Format | None:
    """Tell the format by the first bytes; names and media types are not believed."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    return None


def open_picture(data: bytes, what: str) -> "ImageFile":
    """Read the header of a picture, decoding no pixels; raises AssetRefused, which calls the file `what`.

    The three decoders are called by class: no other of Pillow's formats can be reached, and its global pixel limit,
    which other libraries switch off, is not relied on.
    """
    found = sniff_format(data)
    if found is None:
        raise AssetRefused(f"{what} is not a PNG, JPEG or WebP picture", hint="Convert it to one of these.")
    if len(data) > MAX_BYTES:
        raise AssetRefused(f"{what} has {len(data):,} bytes, more than {MAX_BYTES:,}", hint="Make it smaller.")
    if found == "webp":
        _check_size(_webp_size(data), what)
    try:
        image = _open(found, data)
    except DAMAGE as error:
        raise AssetRefused(f"{what} is a damaged {found} file: {error}") from error
    _check_size(image.size, what)
    return image


def _open(found: Format, data: bytes) -> "ImageFile":
    if found == "png":
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(BytesIO(data))
    if found == "jpeg":
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile(BytesIO(data))
    from PIL.WebPImagePlugin import WebPImageFile

    return WebPImageFile(BytesIO(data))


def _check_size(size: tuple[int, int], what: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise AssetRefused(
            f"{what} has {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million", hint="Make it smaller."
        )


def _webp_size(data: bytes) -> tuple[int, int]:
    """Read the canvas size by hand: the decoder reserves memory for it before one could ask."""
    kind, body = data[12:16], data[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        return (int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1)
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    return (int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF)
