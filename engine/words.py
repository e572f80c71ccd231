"""The JSON Schema words with which a graph declares its inputs, and what they allow."""

import math
from collections.abc import Mapping
from typing import Final

from engine.aliases import ALIASES, known_as
from engine.problems import listed, nearest_name, shown
from engine.values import Json

Words = dict[str, Json]

SEED_MAX: Final = 2**64 - 1
"""Seeds are unsigned 64-bit numbers."""

MAX_ITEMS: Final = 10_000
"""Items in a list that is given as an input."""

RANDOM: Final = "random"
"""The word that asks for a new seed."""

PLAIN_TYPES: Final = ("integer", "number", "string", "boolean", "null", "array")
LITERAL_TYPES: Final = (*PLAIN_TYPES, "seed")

NUMERIC: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
SIZES: Final[Mapping[str, str]] = {
    "minLength": "string",
    "maxLength": "string",
    "minItems": "array",
    "maxItems": "array",
}
_CALLED: Final[Mapping[str, str]] = {
    "integer": "an integer",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "seed": f"an integer from 0 to {SEED_MAX}, or random",
}


class Refused(Exception):
    """A value is not what the words allow; the message reads on after the input's name."""


def types_of(words: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the types an input may have."""
    written = words.get("type")
    return tuple(map(str, written)) if isinstance(written, list) else (str(written),)


def settle(words: Mapping[str, Json], value: Json) -> Json:
    """Return the value as the words want it (an integer becomes a number); raises Refused."""
    types = types_of(words)
    if "seed" in types:
        return _settle_seed(words, value)
    kind = type_of(value)
    if kind == "integer" and "integer" not in types and "number" in types and isinstance(value, int):
        kind, value = "number", float(value)
    if kind not in types:
        called = listed([_CALLED.get(name, name) for name in types])
        raise Refused(f"must be {called}, got {shown(value)}{_unquote(types, value)}")
    if kind == "array" and isinstance(value, list):
        value = _settle_items(words, value)
    elif kind in ("integer", "number") and isinstance(value, int | float):
        _check_number(words, value)
    elif isinstance(value, str):
        _check_size(words, len(value), "Length", "characters")
    choices = words.get("enum")
    if isinstance(choices, list) and kind != "null" and not any(same(value, choice) for choice in choices):
        guess = _guess(words, choices, value) if isinstance(value, str) else ""
        raise Refused(f"must be {listed([shown(choice) for choice in choices[:20]])}, got {shown(value)}{guess}")
    return value


def type_of(value: Json) -> str:
    """Return the JSON Schema type of a value."""
    if value is None:
        return "null"
    names: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return next((name for cls, name in names.items() if isinstance(value, cls)), "object")


def same(one: Json, other: Json) -> bool:
    """Tell whether two values are the same; true is not 1, but 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other


def _guess(words: Mapping[str, Json], choices: list[Json], value: str) -> str:
    """Return the end of a sentence on which choice was meant, nothing where none is near."""
    alias = known_as(words.get(ALIASES), value)
    meant = "" if alias else nearest_name(value, [str(choice) for choice in choices])
    return f"; did you mean {shown(meant)}?" if meant else alias


def _settle_seed(words: Mapping[str, Json], value: Json) -> Json:
    if value == RANDOM:
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(f"must be {_CALLED['seed']}, got {shown(value)}{_unquote(('integer',), value)}")
    if value < 0:
        raise Refused(f"must be at least 0, got {shown(value)}; {shown(RANDOM)} draws a new one")
    _check_number({"minimum": 0, "maximum": SEED_MAX, **words}, value)
    return value


def _settle_items(words: Mapping[str, Json], value: list[Json]) -> Json:
    _check_size({"maxItems": MAX_ITEMS}, len(value), "Items", "items")
    _check_size(words, len(value), "Items", "items")
    items = words.get("items")
    if not isinstance(items, dict):
        return value
    settled: list[Json] = []
    for index, item in enumerate(value):
        try:
            settled.append(settle(items, item))
        except Refused as refused:
            raise Refused(f"item {index + 1} {refused}") from None
    return settled


def _check_number(words: Mapping[str, Json], value: float) -> None:
    low, high = words.get("minimum"), words.get("maximum")
    above, below = words.get("exclusiveMinimum"), words.get("exclusiveMaximum")
    step = words.get("multipleOf")
    if not math.isfinite(value):
        raise Refused("must be finite")
    if isinstance(low, int | float) and value < low:
        raise Refused(f"must be at least {shown(low)}, got {shown(value)}")
    if isinstance(above, int | float) and value <= above:
        raise Refused(f"must be greater than {shown(above)}, got {shown(value)}")
    if isinstance(high, int | float) and value > high:
        raise Refused(f"must be at most {shown(high)}, got {shown(value)}")
    if isinstance(below, int | float) and value >= below:
        raise Refused(f"must be less than {shown(below)}, got {shown(value)}")
    if isinstance(step, int | float) and not is_multiple(value, step):
        raise Refused(f"must be a multiple of {shown(step)}, got {shown(value)}")


def is_multiple(value: float, step: float) -> bool:
    """Tell whether a number is a whole multiple of another, allowing for how floats round."""
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    quotient = value / step
    return math.isfinite(quotient) and math.isclose(quotient, round(quotient), rel_tol=1e-9, abs_tol=1e-9)


def _check_size(words: Mapping[str, Json], size: int, suffix: str, unit: str) -> None:
    low, high = words.get(f"min{suffix}"), words.get(f"max{suffix}")
    if isinstance(low, int) and size < low:
        raise Refused(f"must have at least {low} {unit}, got {size}")
    if isinstance(high, int) and size > high:
        raise Refused(f"must have at most {high} {unit}, got {size}")


def _unquote(types: tuple[str, ...], value: Json) -> str:
    if not isinstance(value, str):
        return ""
    wants_word = "boolean" in types and value in ("true", "false")
    wants_number = ("integer" in types or "number" in types) and value.lstrip("+-").replace(".", "", 1).isdecimal()
    return " (without the quotes)" if wants_word or wants_number else ""
