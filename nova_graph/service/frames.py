"""Messages between the service and its worker: a JSON header and any number of byte strings.

4 bytes    length of the header, big-endian
8 bytes    length of all parts together
header     JSON object; its `parts` lists the length of each part
parts      end to end
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.values import Json

_PREFIX: Final = struct.Struct(">IQ")

MAX_HEADER: Final = 64 << 20
"""Bytes of a header, previews included."""

MAX_PARTS: Final = 1 << 30
"""Bytes of all parts of a frame together."""


class BadFrame(Exception):
    """The other side does not speak this protocol."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    header: Mapping[str, Json]
    parts: tuple[bytes, ...] = ()

    def text(self, name: str) -> str:
        """Return a text of the header; empty where it is missing."""
        value = self.header.get(name, "")
        return value if isinstance(value, str) else ""

    def count(self, name: str) -> int:
        """Return a whole number of the header; 0 where it is missing."""
        value = self.header.get(name, 0)
        return value if isinstance(value, int) else 0

    def number(self, name: str) -> float:
        """Return a number of the header; 0 where it is missing."""
        value = self.header.get(name, 0.0)
        return float(value) if isinstance(value, int | float) else 0.0


def encode(header: Mapping[str, Json], parts: Sequence[bytes] = ()) -> bytes:
    """Return a message as bytes."""
    lengths: list[Json] = [len(part) for part in parts]
    head = json.dumps({**header, "parts": lengths}, separators=(",", ":")).encode()
    return b"".join([_PREFIX.pack(len(head), sum(map(len, parts))), head, *parts])


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes and give the messages that are complete; raises BadFrame."""
        self._buffer += data
        while len(self._buffer) >= _PREFIX.size:
            header_length, parts_length = _PREFIX.unpack_from(self._buffer)
            if header_length > MAX_HEADER or parts_length > MAX_PARTS:
                raise BadFrame(f"a message of {header_length + parts_length:,} bytes")
            end = _PREFIX.size + header_length + parts_length
            if len(self._buffer) < end:
                return
            message = bytes(memoryview(self._buffer)[_PREFIX.size : end])
            del self._buffer[:end]
            yield _read(message, header_length)


def _read(message: bytes, header_length: int) -> Frame:
    try:
        header = json.loads(message[:header_length])
        lengths = header.pop("parts")
        parts: list[bytes] = []
        start = header_length
        for length in lengths:
            parts.append(message[start : start + length])
            start += length
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadFrame(f"not a header: {type(error).__name__}") from error
    if start != len(message):
        raise BadFrame("its parts are longer or shorter than its header says")
    return Frame(header, tuple(parts))
