"""How None, booleans, numbers, text and bytes are written as a JSON tree with buffers, and read back."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final, Protocol

from engine.values import Json


class Unstorable(Exception):
    """The value, or its declared type, cannot be written down without pickle."""


class CorruptBlob(Exception):
    """The bytes are not what was written for this type."""


class OutdatedBlob(CorruptBlob):
    """A file is whole, but holds values as another version of the program declares them."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes beside the tree, labelled for other tools."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


Written = dict[str, Buffer]
"""The buffers of a tree, by the path of the field that each belongs to."""

Stored = dict[str, memoryview]
"""The buffers that are still to be read; each is taken once."""


class Shape(Protocol):
    """A declared type."""

    def fits(self, value: object) -> bool:
        """Tell at a glance whether `value` may be of this type."""
        ...

    def write(self, value: object, path: str, buffers: Written) -> Json:
        """Return the tree of a value and add its buffers; raises Unstorable."""
        ...

    def read(self, tree: Json, buffers: Stored) -> object:
        """Return the value of a tree; raises CorruptBlob."""
        ...

    def describe(self, known: frozenset[type]) -> str:
        """Return the structure in words; classes in `known` are only named."""
        ...


def take(tree: Json, buffers: Stored) -> memoryview:
    """Return the buffer that a tree names; raises CorruptBlob where there is none, or none left."""
    found = buffers.pop(tree, None) if type(tree) is str else None
    if found is None:
        raise CorruptBlob("a buffer is missing")
    return found


def mismatch(declared: str, value: object, path: str) -> Unstorable:
    """Return the error for a value of another type than declared."""
    return Unstorable(f"{path} is declared {declared} and holds a {type(value).__name__}")


class _Constant:
    """None and booleans: the tree is the value."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def fits(self, value: object) -> bool:
        return type(value) is self._kind

    def write(self, value: object, path: str, buffers: Written) -> Json:
        if value is None or type(value) is bool:
            return value
        raise mismatch(self._kind.__name__, value, path)

    def read(self, tree: Json, buffers: Stored) -> object:
        if type(tree) is not self._kind:
            raise CorruptBlob(f"expected {self._kind.__name__}")
        return tree

    def describe(self, known: frozenset[type]) -> str:
        return self._kind.__name__


class _Integer:
    """Integers; those over 64 bits as hexadecimal text, which takes linear time."""

    def fits(self, value: object) -> bool:
        return type(value) is int

    def write(self, value: object, path: str, buffers: Written) -> Json:
        if type(value) is not int:
            raise mismatch("int", value, path)
        return value if value.bit_length() < _WORD else hex(value)

    def read(self, tree: Json, buffers: Stored) -> object:
        if type(tree) is int:
            return tree
        if type(tree) is str and re.fullmatch("-?0x[0-9a-f]+", tree):
            return int(tree, 16)
        raise CorruptBlob("expected int")

    def describe(self, known: frozenset[type]) -> str:
        return "int"


class _Float:
    """Floats to the last bit; the type system lets integers pass for floats, so they stay integers here."""

    def fits(self, value: object) -> bool:
        return type(value) in (float, int)

    def write(self, value: object, path: str, buffers: Written) -> Json:
        if type(value) is float:
            return value if isfinite(value) else struct.pack(">d", value).hex()
        if type(value) is int:
            return _Integer().write(value, path, buffers)
        raise mismatch("float", value, path)

    def read(self, tree: Json, buffers: Stored) -> object:
        if type(tree) is float:
            return tree
        if type(tree) is str and re.fullmatch("[0-9a-f]{16}", tree):
            return struct.unpack(">d", bytes.fromhex(tree))[0]
        return _Integer().read(tree, buffers)

    def describe(self, known: frozenset[type]) -> str:
        return "float"


class _Text:
    """Strings; with half a surrogate pair in a buffer, since JSON would join two halves into one character."""

    def fits(self, value: object) -> bool:
        return type(value) is str

    def write(self, value: object, path: str, buffers: Written) -> Json:
        if type(value) is not str:
            raise mismatch("str", value, path)
        if value.isascii() or not _SURROGATE.search(value):
            return value
        data = value.encode("utf-8", "surrogatepass")
        buffers[path] = Buffer("U8", (len(data),), data)
        return [path]

    def read(self, tree: Json, buffers: Stored) -> object:
        if type(tree) is str:
            return tree
        if type(tree) is not list or len(tree) != 1:
            raise CorruptBlob("expected str")
        try:
            return str(take(tree[0], buffers), "utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise CorruptBlob("expected UTF-8") from error

    def describe(self, known: frozenset[type]) -> str:
        return "str"


class _Bytes:
    """Bytes: always a buffer; the tree is its path."""

    def fits(self, value: object) -> bool:
        return type(value) is bytes

    def write(self, value: object, path: str, buffers: Written) -> Json:
        if type(value) is not bytes:
            raise mismatch("bytes", value, path)
        buffers[path] = Buffer("U8", (len(value),), value)
        return path

    def read(self, tree: Json, buffers: Stored) -> object:
        return bytes(take(tree, buffers))

    def describe(self, known: frozenset[type]) -> str:
        return "bytes"


_WORD: Final = 64
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

SCALARS: Final[Mapping[object, Shape]] = {
    type(None): _Constant(type(None)),
    bool: _Constant(bool),
    int: _Integer(),
    float: _Float(),
    str: _Text(),
    bytes: _Bytes(),
}
