"""Literals checked against a port's declaration, and refused in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.aliases import known_as
from engine.declaration import InputPort, is_value_type, item_of, members, type_name
from engine.problems import Problems, listed, shown
from engine.source import Tree

_TYPE_ERRORS: Final = frozenset(
    ("int_type", "float_type", "string_type", "bool_type", "none_required", "tuple_type", "literal_error", "dict_type")
)
_LIMITS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than_equal": ("must be at least", "ge"),
    "greater_than": ("must be greater than", "gt"),
    "less_than_equal": ("must be at most", "le"),
    "less_than": ("must be less than", "lt"),
    "multiple_of": ("must be a multiple of", "multiple_of"),
    "string_pattern_mismatch": ("must match", "pattern"),
}
_SIZES: Final[Mapping[str, tuple[str, str]]] = {
    "string_too_short": ("must have at least {min_length} characters", "min_length"),
    "string_too_long": ("must have at most {max_length} characters", "max_length"),
    "too_short": ("must have at least {min_length} items", "min_length"),
    "too_long": ("must have at most {max_length} items", "max_length"),
}


class Unfit(Exception):
    """A literal does not fit; the message reads on after the port's name, `where` leads to the item that is wrong."""

    def __init__(self, message: str, where: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.where = where


def fit_literal(port: InputPort, value: object, problems: Problems) -> object:
    """Return the value as the port wants it (an integer becomes a number); raises Unfit.

    Lists must be tuples. The problems are only asked for suggestions.
    """
    if not port.takes_literals and value is not None and value != ():
        raise Unfit(f"takes {type_name(port.annotation)} from another node, as $node.port; got {shown(value)}")
    try:
        result: object = port.adapter.validate_python(value)
    except ValidationError as error:
        raise _unfit(port, error.errors(include_url=False), problems) from None
    except (ValueError, OverflowError):
        raise Unfit("must be a smaller number") from None
    if _is_confused(value, result):
        raise Unfit(f"must be {called(port.annotation)}, got {shown(value)}")
    return result


def _is_confused(value: object, result: object) -> bool:
    """Tell whether true or 1.0 was taken for 1, as Python's equality does among a few allowed numbers."""
    if isinstance(value, tuple) and isinstance(result, tuple):
        return any(_is_confused(*pair) for pair in zip(value, result, strict=False))
    return isinstance(value, bool | float) and isinstance(result, int) and type(value) is not type(result)


def place_of(tree: Tree, where: Sequence[int]) -> Tree:
    """Return the place of an item within a literal."""
    for index in where:
        if not isinstance(tree.value, list) or index >= len(tree.value):
            break
        tree = tree.value[index]
    return tree


def called(annotation: Any) -> str:
    """Return how people call what a port takes: `an integer or null`."""
    plain = {int: "an integer", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    if annotation in plain:
        return plain[annotation]
    if get_origin(annotation) is Literal:
        return listed([shown(choice) for choice in get_args(annotation)])
    if hasattr(annotation, "__metadata__"):
        return called(get_args(annotation)[0])
    options = members(annotation)
    if len(options) > 1:
        return listed([called(option) for option in options])
    item = item_of(annotation)
    if item is not None:
        many = {int: "integers", float: "numbers", str: "texts", bool: "booleans"}
        return f"a list of {many.get(item) or type_name(item)}"
    return f"a {type_name(annotation)}" if is_value_type(annotation) else type_name(annotation)


def _unfit(port: InputPort, errors: list[ErrorDetails], problems: Problems) -> Unfit:
    telling = [error for error in errors if error["type"] not in _TYPE_ERRORS] or errors
    error = telling[0]
    where = tuple(part for part in error["loc"] if isinstance(part, int))
    item = f"item {where[0] + 1} " if where else ""
    got = error["input"]
    kind, context = error["type"], error.get("ctx", {})
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return Unfit(f"{item}{words} {_bound(context[key])}, got {shown(got)}", where)
    if kind in _SIZES:
        words, key = _SIZES[kind]
        size = len(got) if isinstance(got, str | tuple) else 0
        return Unfit(f"{item}{words.format(**{key: context[key]})}, got {size}", where)
    if kind not in _TYPE_ERRORS:
        return Unfit(f"{item}{error['msg']}, got {shown(got)}", where)
    annotation = port.item if where and port.item is not None else port.annotation
    choices = [choice for option in members(annotation) for choice in _choices(option)]
    guess = known_as(port.aliases, got) if isinstance(got, str) else ""
    meant = problems.nearest(got, choices) if isinstance(got, str) and choices and not guess else ""
    guess = f"; did you mean {shown(meant)}?" if meant else guess
    return Unfit(f"{item}must be {called(annotation)}, got {shown(got)}{guess or _unquote(annotation, got)}", where)


def _bound(value: object) -> str:
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 10**15
    return str(int(value)) if whole and isinstance(value, float) else shown(value)


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is not Literal:
        return []
    return [choice for choice in get_args(annotation) if isinstance(choice, str)]


def _unquote(annotation: Any, got: object) -> str:
    if not isinstance(got, str):
        return ""
    options = members(annotation)
    word = bool in options and got in ("true", "false")
    number = (int in options or float in options) and got.lstrip("+-").replace(".", "", 1).isdecimal()
    return " (without the quotes)" if word or number else ""
