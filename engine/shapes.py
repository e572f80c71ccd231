"""How a declared type is written as a JSON tree with buffers, and read back.

Reading follows the declared types alone: stored data names no class, so it cannot ask for one.
"""

import builtins
import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property, lru_cache
from math import prod
from typing import Any, Final, get_args, get_origin, get_type_hints

from engine.node import Output
from engine.scalars import SCALARS, Buffer, CorruptBlob, Shape, Stored, Unstorable, Written, mismatch
from engine.values import Json, Value

ITEM_SIZE: Final[Mapping[str, int]] = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8"), 1),
}
"""Bytes per item of the safetensors dtypes."""


def shape_of(annotation: Any) -> Shape:
    """Return how a declared type is stored; raises Unstorable for types that are not."""
    if get_origin(annotation) is not None:
        return _composed(annotation)
    if isinstance(annotation, type):
        if annotation in SCALARS:
            return SCALARS[annotation]
        if Value in annotation.__mro__:
            return record_of(annotation)
    raise Unstorable(f"what is declared {annotation!r} cannot be stored")


def _composed(annotation: Any) -> Shape:
    arguments = get_args(annotation)
    match get_origin(annotation):
        case typing.Annotated:
            return shape_of(arguments[0])
        case typing.Union | types.UnionType:
            return _Either(tuple(map(shape_of, arguments)))
        case typing.Literal:
            return _OneOf(arguments)
        case builtins.tuple:
            if arguments[1:] == (Ellipsis,):
                return _Many(shape_of(arguments[0]))
            return _Row(tuple(map(shape_of, arguments)))
    raise Unstorable(f"what is declared {annotation!r} cannot be stored")


@lru_cache(maxsize=1024)
def record_of(cls: type[Any]) -> Shape:
    """Return how a frozen dataclass is stored; raises Unstorable for other classes."""
    parameters = vars(cls).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        raise Unstorable(f"{cls.__name__} is not a frozen dataclass")
    return _Record(cls)


@lru_cache(maxsize=1024)
def ports_of(cls: type[Output]) -> dict[str, Shape]:
    """Return how each output port is stored; raises Unstorable."""
    return {name: shape_of(port.annotation) for name, port in cls.model_fields.items()}


class _Record:
    """A frozen dataclass: the list of its fields."""

    def __init__(self, cls: type[Any]) -> None:
        self._cls = cls

    @cached_property
    def _fields(self) -> dict[str, Shape]:
        """The shapes of the fields; found late, since a class may hold itself."""
        members = fields(self._cls)
        if not all(member.init for member in members):
            raise Unstorable(f"{self._cls.__name__} has fields that its constructor does not take")
        try:
            hints = get_type_hints(self._cls, include_extras=True)
        except (NameError, TypeError) as error:
            raise Unstorable(f"the fields of {self._cls.__name__} cannot be resolved: {error}") from error
        return {member.name: shape_of(hints[member.name]) for member in members}

    def fits(self, value: object) -> bool:
        return type(value) is self._cls

    def write(self, value: object, path: str, buffers: Written) -> Json:
        if type(value) is not self._cls:
            raise mismatch(self._cls.__name__, value, path)
        trees = [shape.write(getattr(value, name), f"{path}.{name}", buffers) for name, shape in self._fields.items()]
        if f"{path}.data" in buffers:
            _label(value, f"{path}.data", buffers)
        return trees

    def read(self, tree: Json, buffers: Stored) -> object:
        trees = _list(tree, len(self._fields))
        pairs = zip(self._fields.items(), trees, strict=True)
        arguments = {name: shape.read(part, buffers) for (name, shape), part in pairs}
        try:
            return self._cls(**arguments)
        except Exception as error:
            raise CorruptBlob(f"{self._cls.__name__} refuses its fields: {error}") from error

    def describe(self, known: frozenset[type]) -> str:
        name = self._cls.__qualname__
        if self._cls in known:
            return name
        known |= {self._cls}
        return f"{name}({','.join(f'{field}:{shape.describe(known)}' for field, shape in self._fields.items())})"


class _Many:
    """`tuple[X, ...]`: the list of its items."""

    def __init__(self, item: Shape) -> None:
        self._item = item

    def fits(self, value: object) -> bool:
        return type(value) is tuple

    def write(self, value: object, path: str, buffers: Written) -> Json:
        if type(value) is not tuple:
            raise mismatch("tuple", value, path)
        return [self._item.write(item, f"{path}.{index}", buffers) for index, item in enumerate(value)]

    def read(self, tree: Json, buffers: Stored) -> object:
        if type(tree) is not list:
            raise CorruptBlob("expected a list")
        return tuple([self._item.read(part, buffers) for part in tree])

    def describe(self, known: frozenset[type]) -> str:
        return f"({self._item.describe(known)}...)"


class _Row:
    """`tuple[X, Y]`: the list of its items, one shape each."""

    def __init__(self, items: tuple[Shape, ...]) -> None:
        self._items = items

    def fits(self, value: object) -> bool:
        return type(value) is tuple and len(value) == len(self._items)

    def write(self, value: object, path: str, buffers: Written) -> Json:
        if type(value) is not tuple or len(value) != len(self._items):
            raise mismatch(f"a tuple of {len(self._items)}", value, path)
        pairs = zip(self._items, value, strict=True)
        return [shape.write(item, f"{path}.{index}", buffers) for index, (shape, item) in enumerate(pairs)]

    def read(self, tree: Json, buffers: Stored) -> object:
        trees = _list(tree, len(self._items))
        return tuple([shape.read(part, buffers) for shape, part in zip(self._items, trees, strict=True)])

    def describe(self, known: frozenset[type]) -> str:
        return f"({','.join(item.describe(known) for item in self._items)})"


class _Either:
    """`X | Y`: which one, and its tree."""

    def __init__(self, options: tuple[Shape, ...]) -> None:
        self._options = options

    def fits(self, value: object) -> bool:
        return any(option.fits(value) for option in self._options)

    def write(self, value: object, path: str, buffers: Written) -> Json:
        failure = mismatch("a union", value, path)
        for index, option in enumerate(self._options):
            if option.fits(value):
                added: Written = {}
                try:
                    tree = option.write(value, path, added)
                except Unstorable as error:
                    failure = error
                    continue
                buffers.update(added)
                return [index, tree]
        raise failure

    def read(self, tree: Json, buffers: Stored) -> object:
        index, inner = _list(tree, 2)
        return self._options[_index(index, len(self._options))].read(inner, buffers)

    def describe(self, known: frozenset[type]) -> str:
        return f"({'|'.join(option.describe(known) for option in self._options)})"


class _OneOf:
    """`Literal[...]`: which one."""

    def __init__(self, choices: tuple[object, ...]) -> None:
        self._choices = tuple((type(choice), choice) for choice in choices)

    def fits(self, value: object) -> bool:
        return (type(value), value) in self._choices

    def write(self, value: object, path: str, buffers: Written) -> Json:
        if not self.fits(value):
            raise mismatch(f"one of {self.describe(frozenset())}", value, path)
        return self._choices.index((type(value), value))

    def read(self, tree: Json, buffers: Stored) -> object:
        return self._choices[_index(tree, len(self._choices))][1]

    def describe(self, known: frozenset[type]) -> str:
        return f"[{','.join(repr(choice) for _, choice in self._choices)}]"


def _list(tree: Json, length: int) -> list[Json]:
    if type(tree) is not list or len(tree) != length:
        raise CorruptBlob(f"expected a list of {length}")
    return tree


def _index(tree: Json, length: int) -> int:
    if type(tree) is not int or not 0 <= tree < length:
        raise CorruptBlob(f"expected an index below {length}")
    return tree


def _label(value: Any, path: str, buffers: Written) -> None:
    """Label the data of an array as what it is, so that other tools open it as a tensor.

    Arrays are known by their fields: a dtype, a shape, and data as long as they say. Reading does not depend on it.
    """
    dtype, shape, data = (getattr(value, name, None) for name in ("dtype", "shape", "data"))
    if type(dtype) is not str or dtype not in ITEM_SIZE or type(shape) is not tuple or type(data) is not bytes:
        return
    whole = all(type(length) is int and length >= 0 for length in shape)
    if whole and len(data) == prod(shape) * ITEM_SIZE[dtype]:
        buffers[path] = Buffer(dtype, shape, data)
