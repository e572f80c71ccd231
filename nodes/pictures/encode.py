"""A picture and its texts to the bytes of a file; equal input gives equal bytes."""

from io import BytesIO
from typing import TYPE_CHECKING

from engine.errors import AssetRefused
from nodes.pictures.batches import Picture
from nodes.pictures.formats import Format

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

PARAMETERS = "parameters"
"""The chunk with generation parameters as plain text."""

RECORD = "nova_graph"
"""The chunk with the resolved graph as JSON."""

EXIF_DESCRIPTION = 0x010E
EXIF_IFD = 0x8769
EXIF_USER_COMMENT = 0x9286
_EXIF_LIMIT = 65_000
_LOSSLESS = 100


def encode_picture(picture: Picture, file_format: Format, quality: int, texts: dict[str, str]) -> bytes:
    """Encode a picture; `texts` may have the entries PARAMETERS and RECORD.

    PNG keeps them as text chunks, WebP and JPEG in EXIF: the parameters as UserComment in UTF-16, the record as
    ImageDescription. `quality` (1 to 100) is not used for PNG; at 100, WebP is lossless.
    Raises AssetRefused where the texts are too long for a JPEG.
    """
    from PIL import Image

    image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
    out = BytesIO()
    if file_format == "png":
        image.save(out, "PNG", pnginfo=_chunks(texts))
    elif file_format == "webp":
        image.save(out, "WEBP", quality=quality, lossless=quality == _LOSSLESS, method=4, exif=_exif(texts))
    else:
        exif = _exif(texts)
        if len(exif) > _EXIF_LIMIT:
            raise AssetRefused(
                f"the metadata has {len(exif):,} bytes, more than a JPEG can hold",
                hint="Use `format: png` or `format: webp`, or `metadata: none`.",
            )
        image.save(out, "JPEG", quality=quality, subsampling=0, exif=exif)
    return out.getvalue()


def _chunks(texts: dict[str, str]) -> "PngInfo":
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for name, text in texts.items():
        if text.isascii():
            info.add_text(name, text)
        else:
            info.add_itxt(name, text)
    return info


def _exif(texts: dict[str, str]) -> bytes:
    from PIL.Image import Exif

    if not texts:
        return b""

    exif = Exif()
    if RECORD in texts:
        exif[EXIF_DESCRIPTION] = f"{RECORD}:{texts[RECORD]}"
    if PARAMETERS in texts:
        exif.get_ifd(EXIF_IFD)[EXIF_USER_COMMENT] = b"UNICODE\0" + texts[PARAMETERS].encode("utf-16-be")
    return exif.tobytes()
