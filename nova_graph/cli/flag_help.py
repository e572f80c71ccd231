"""The inputs of a graph as help texts."""

from collections.abc import Iterator, Mapping
from typing import Final

from engine.problems import shown
from engine.values import Json
from engine.words import Words, types_of
from nova_graph.cli.bounds import bounds_text
from nova_graph.cli.flags import flag_name, is_switch

_PLACEHOLDERS = {"integer": "INTEGER", "number": "NUMBER", "string": "TEXT", "array": "LIST", "boolean": "true|false"}

_ROOMY: Final = 1000
"""Texts that may be this long are not told how long: nobody writes so much at a flag, and who does gets an error."""


def flag_rows(inputs: Mapping[str, Words]) -> Iterator[tuple[str, str, str]]:
    """Yield (flag, description, default and bounds) of every graph input that a command line can give."""
    for name, words in inputs.items():
        if _can_be_given(words):
            yield _flag(name, words), str(words.get("description", "")), _limits(words)


def _can_be_given(words: Words) -> bool:
    return any(kind in _PLACEHOLDERS or kind == "seed" for kind in types_of(words))


def _flag(name: str, words: Words) -> str:
    flag = flag_name(name)
    if is_switch(words):
        return f"{flag} / --no-{flag.removeprefix('--')}"
    kinds = [_PLACEHOLDERS[kind] for kind in types_of(words) if kind in _PLACEHOLDERS]
    if "seed" in types_of(words):
        kinds.append("INTEGER|random")
    return f"{flag} {'|'.join(kinds)}"


def _limits(words: Words) -> str:
    bounds = bounds_text({word: value for word, value in words.items() if not _is_roomy(word, value)})
    parts = [bounds] if bounds else []
    choices = words.get("enum")
    if isinstance(choices, list):
        parts.append("one of " + ", ".join(map(_plain, choices)))
    if "default" not in words:
        parts.append("required")
    elif words["default"] is None:
        parts.append("default: empty")
    else:
        parts.append(f"default: {_plain(words['default'])}")
    return "; ".join(parts)


def _is_roomy(word: str, value: Json) -> bool:
    return word == "maxLength" and isinstance(value, int) and value >= _ROOMY


def _plain(value: Json) -> str:
    return value if isinstance(value, str) and value else shown(value)
