"""Bytes that stand for a value, the same in every process and on every platform."""

import math
import struct
from collections.abc import Callable
from dataclasses import fields

from engine.values import Value

_MAX_DEPTH = 100

_Sink = Callable[[bytes], None]
_Writer = Callable[[object, _Sink, int], None]


class Unkeyable(Exception):
    """The value has no canonical bytes, so nothing that depends on it can be cached."""


def canonical(value: object) -> bytes:
    """Encode a value for hashing; different values give different bytes.

    Takes None, bool, int, float, str, bytes, tuples, dicts with string keys (their order does not matter) and Values.
    `1`, `1.0`, `True` and `"1"` all differ, and so do `0.0` and `-0.0`. Types match exactly: a subclass may carry state
    that is not seen here. Raises Unkeyable for NaN, for anything else, and for what is nested over 100 deep.
    """
    parts: list[bytes] = []
    _write(value, parts.append, 0)
    return b"".join(parts)


def _write(value: object, sink: _Sink, depth: int) -> None:
    writer = _WRITERS.get(type(value))
    if writer is not None:
        writer(value, sink, depth)
    elif isinstance(value, Value):
        _write_value(value, sink, depth)
    else:
        raise Unkeyable(f"a {type(value).__name__} cannot be part of a key")


def _deeper(depth: int) -> int:
    if depth >= _MAX_DEPTH:
        raise Unkeyable(f"nested over {_MAX_DEPTH} deep")
    return depth + 1


def _write_none(_value: object, sink: _Sink, _depth: int) -> None:
    sink(b"n")


def _write_bool(value: object, sink: _Sink, _depth: int) -> None:
    sink(b"t" if value else b"f")


def _write_int(value: object, sink: _Sink, _depth: int) -> None:
    assert isinstance(value, int)
    sink(b"i%x;" % value)


def _write_float(value: object, sink: _Sink, _depth: int) -> None:
    assert isinstance(value, float)
    if math.isnan(value):
        raise Unkeyable("NaN cannot be part of a key")
    sink(struct.pack(">cd", b"d", value))


def _write_str(value: object, sink: _Sink, _depth: int) -> None:
    assert isinstance(value, str)
    data = value.encode("utf-8", "surrogatepass")
    sink(b"s%d:" % len(data))
    sink(data)


def _write_bytes(value: object, sink: _Sink, _depth: int) -> None:
    assert isinstance(value, bytes)
    sink(b"b%d:" % len(value))
    sink(value)


def _write_tuple(value: object, sink: _Sink, depth: int) -> None:
    assert isinstance(value, tuple)
    depth = _deeper(depth)
    sink(b"(%d:" % len(value))
    for item in value:
        _write(item, sink, depth)


def _write_dict(value: object, sink: _Sink, depth: int) -> None:
    assert isinstance(value, dict)
    depth = _deeper(depth)
    if any(type(name) is not str for name in value):
        raise Unkeyable("a dict with keys other than strings cannot be part of a key")
    sink(b"{%d:" % len(value))
    for name in sorted(value):
        _write_str(name, sink, depth)
        _write(value[name], sink, depth)


def _write_value(value: Value, sink: _Sink, depth: int) -> None:
    cls = type(value)
    parameters = vars(cls).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        raise Unkeyable(f"{cls.__name__} is not a frozen dataclass and cannot be part of a key")
    depth = _deeper(depth)
    members = fields(value)  # type: ignore[arg-type]
    sink(b"v%d:" % len(members))
    _write_str(f"{cls.__module__}.{cls.__qualname__}", sink, depth)
    for member in members:
        _write_str(member.name, sink, depth)
        _write(getattr(value, member.name), sink, depth)


_WRITERS: dict[type, _Writer] = {
    type(None): _write_none,
    bool: _write_bool,
    int: _write_int,
    float: _write_float,
    str: _write_str,
    bytes: _write_bytes,
    tuple: _write_tuple,
    dict: _write_dict,
}
