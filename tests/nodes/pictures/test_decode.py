"""Strangers' pictures of every kind."""

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image as Pillow

from engine.errors import AssetRefused
from nodes.pictures.decode import decode_picture


def saved(image: Pillow.Image, file_format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def colour_at(data: bytes, x: int = 0, y: int = 0) -> tuple[int, ...]:
    picture = decode_picture(data).picture
    start = (y * picture.width + x) * 3
    return tuple(picture.rgb[start : start + 3])


def png(width: int, height: int, depth: int, colour: int, packed: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("I;16", 40_000, (156, 156, 156)),
        ("RGBA", (10, 20, 30, 128), (10, 20, 30)),
        ("LA", (77, 0), (77, 77, 77)),
    ],
)
def test_every_mode_of_png_becomes_rgb(mode: str, colour: Any, expected: tuple[int, ...]) -> None:
    assert colour_at(saved(Pillow.new(mode, (9, 5), colour))) == expected


def test_palettes_with_and_without_transparency() -> None:
    image = Pillow.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    assert colour_at(saved(image)) == (200, 100, 50)
    assert decode_picture(saved(image)).alpha is None
    clear = decode_picture(saved(image, transparency=1))
    assert clear.alpha == bytes(16)


def test_sixteen_bits_of_colour_keep_the_upper_eight() -> None:
    row = b"\0" + struct.pack(">HHH", 0x1234, 0xABCD, 0xFF00)
    assert colour_at(png(1, 1, 16, 2, zlib.compress(row))) == (0x12, 0xAB, 0xFF)


def test_cmyk_jpeg_becomes_rgb() -> None:
    red, green, blue = colour_at(saved(Pillow.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    assert red > 240
    assert max(green, blue) < 15


def test_grey_jpeg_and_lossless_webp() -> None:
    assert colour_at(saved(Pillow.new("L", (16, 16), 99), "JPEG", quality=100)) == (99, 99, 99)
    assert colour_at(saved(Pillow.new("RGB", (16, 16), (1, 2, 3)), "WEBP", lossless=True)) == (1, 2, 3)


def test_webp_alpha_is_kept() -> None:
    decoded = decode_picture(saved(Pillow.new("RGBA", (16, 16), (1, 2, 3, 40)), "WEBP", lossless=True, exact=True))
    assert decoded.alpha == bytes([40]) * 256


def test_exif_orientation_turns_the_picture() -> None:
    image = Pillow.new("RGB", (6, 4), "black")
    image.putpixel((0, 0), (255, 0, 0))
    exif = Pillow.Exif()
    exif[0x0112] = 6
    data = saved(image, exif=exif)
    picture = decode_picture(data).picture
    assert (picture.width, picture.height) == (4, 6)
    assert colour_at(data, x=3) == (255, 0, 0)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_read(file_format: str) -> None:
    frames = [Pillow.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = saved(frames[0], file_format, save_all=True, append_images=frames[1:], duration=50, lossless=True)
    assert colour_at(data) == (255, 0, 0)


def test_a_png_bomb_is_refused_by_its_header() -> None:
    bomb = png(30_000, 30_000, 8, 2, zlib.compress(bytes(90_001 * 300), 9))
    assert len(bomb) < 50_000
    with pytest.raises(AssetRefused, match="30000 x 30000 pixels, more than 50 million"):
        decode_picture(bomb)


def test_a_webp_that_claims_a_huge_canvas_is_refused() -> None:
    small = bytearray(saved(Pillow.new("RGBA", (16, 16)), "WEBP", exif=b"Exif\0\0"))
    assert small[12:16] == b"VP8X"
    small[24:30] = b"\xff\xff\xff\xff\xff\xff"
    with pytest.raises(AssetRefused, match="16777216 x 16777216 pixels"):
        decode_picture(bytes(small))


def test_a_jpeg_that_claims_a_huge_frame_is_refused() -> None:
    data = bytearray(saved(Pillow.new("RGB", (16, 16)), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(AssetRefused, match="65535 x 65535"):
        decode_picture(bytes(data))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_a_file_cut_short_is_refused(file_format: str) -> None:
    whole = saved(Pillow.effect_noise((64, 64), 90).convert("RGB"), file_format)
    with pytest.raises(AssetRefused, match="damaged"):
        decode_picture(whole[: len(whole) // 2], "cut.pic")


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF", "PPM", "ICO", "PDF"])
def test_other_formats_are_refused_whatever_their_name(file_format: str) -> None:
    with pytest.raises(AssetRefused, match=r"photo\.png is not a PNG, JPEG or WebP picture"):
        decode_picture(saved(Pillow.new("RGB", (16, 16)), file_format), "photo.png")
