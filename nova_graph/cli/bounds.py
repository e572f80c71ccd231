"""JSON Schema bounds in words."""

from collections.abc import Iterator

from engine.problems import shown
from engine.values import Json
from engine.words import Words, types_of

_FORMS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}


_LONG = 2**53
"""Whole numbers beyond this are told as powers of two, where they are just below one."""


def bounds_text(words: Words) -> str:
    """Return what a value must keep to: `1 to 150`, `above 0, at most 1`, `0 to 2^64-1`."""
    return ", ".join(_parts(words))


def _parts(words: Words) -> Iterator[str]:
    left = dict(words)
    below = left.get("exclusiveMaximum")
    if isinstance(below, int) and types_of(words) in (("integer",), ("seed",)):
        del left["exclusiveMaximum"]
        left.setdefault("maximum", below - 1)
    if "minimum" in left and "maximum" in left:
        yield f"{_number(left.pop('minimum'))} to {_number(left.pop('maximum'))}"
    for word, form in _FORMS.items():
        if word in left:
            text = form.format(_number(left[word]))
            yield text.removesuffix("s") if left[word] == 1 and word.endswith(("Length", "Items")) else text


def _number(value: Json) -> str:
    if isinstance(value, int) and value > _LONG and (value + 1).bit_count() == 1:
        return f"2^{value.bit_length()}-1"
    return shown(value)
