"""Pictures to send in, good and bad."""

import io
import struct
import zlib

from PIL import Image


def png(width: int, height: int, colour: tuple[int, int, int] = (200, 30, 90)) -> bytes:
    """Return a plain PNG file."""
    return encoded(width, height, "PNG", colour)


def encoded(width: int, height: int, kind: str, colour: tuple[int, int, int] = (200, 30, 90)) -> bytes:
    """Return a plain picture file of a kind."""
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, kind)
    return stream.getvalue()


def lying_png(width: int, height: int) -> bytes:
    """Return a small PNG file whose header says another size."""
    data = bytearray(png(8, 8))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG file that grows to many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """Return a small PNG file with a compressed text that grows to many megabytes."""
    text = b"Comment\0\0" + zlib.compress(bytes(200 << 20), 9)
    good = png(8, 8)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    return good[:33] + chunk + good[33:]
