"""JSON Schema bounds in words."""

from collections.abc import Iterator

from engine.problems import shown
from engine.words import Words

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


def bounds_text(words: Words) -> str:
    """Return what a value must keep to: `1 to 150`, `above 0, at most 1`."""
    return ", ".join(_parts(words))


def _parts(words: Words) -> Iterator[str]:
    left = dict(words)
    if "minimum" in left and "maximum" in left:
        yield f"{shown(left.pop('minimum'))} to {shown(left.pop('maximum'))}"
    for word, form in _FORMS.items():
        if word in left:
            yield form.format(shown(left[word]))
