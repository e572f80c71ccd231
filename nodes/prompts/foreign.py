"""Prompt syntax of other programs that is plain text here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nodes.prompts.fragments import Dialect

_QUOTED = 60
_BOTH: tuple[Dialect, ...] = ("a1111", "comfy")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of syntax: how it looks, what becomes of it and what to do, and in which dialects it is missed."""

    pattern: re.Pattern[str]
    advice: str
    dialects: tuple[Dialect, ...] = _BOTH


# No pattern looks back further than to the last bracket, or 60 characters, so that none takes quadratic time. Tags such
# as `:3`, `:|` and `>:3` are no syntax, also in brackets; nor is AND between words in capitals.
_KINDS = (
    _Kind(
        re.compile(r"(?<!\\)\[[^\[\]]*[\w):]:\s*+(?:\d++(?:\.\d*+)?|\.\d++)\s*+\]"),
        "words cannot change while a picture is drawn: this is read as text that brackets weaken. "
        "Keep one of the words.",
        ("a1111",),
    ),
    _Kind(
        re.compile(r"(?<!\\)\[(?=[\w(])[^\[\]|]*+(?<=[\w\s)])\|\s*+[\w(][^\[\]]*+\]"),
        "words cannot take turns while a picture is drawn: this is read as text that brackets weaken. "
        "Keep one of the words.",
        ("a1111",),
    ),
    _Kind(
        re.compile(r"(?<![A-Z]{2})\sAND\s(?![A-Z]{2})"),
        "prompts cannot be combined: this is read as a word. Put a comma there, or BREAK.",
        ("a1111",),
    ),
    _Kind(
        re.compile(r"(?<!\w)__[A-Za-z0-9][\w/.*-]{0,60}?__(?!\w)"),
        "nothing is put in the place of wildcards: this is read as text. "
        "Write a word there, and run the graph once for each.",
    ),
    _Kind(
        re.compile(r"\{(?=[^{}|]*\w)[^{}|]*+\|[^{}]*+\}"),
        "none of these words is chosen: all are read as text. Write one of them, and run the graph once for each.",
    ),
)


def find_foreign(texts: Sequence[str], dialect: Dialect) -> tuple[str, ...]:
    """Say of each kind of syntax that other programs know and this dialect does not what it is read as here.

    Each kind is told of once, with the first place where it is used.
    """
    found = ((kind, _first_use(kind, texts)) for kind in _KINDS if dialect in kind.dialects)
    return tuple(f'"{_shortened(use.strip())}" in the prompt: {kind.advice}' for kind, use in found if use)


def _first_use(kind: _Kind, texts: Sequence[str]) -> str:
    return next((use[0] for text in texts if (use := kind.pattern.search(text))), "")


def _shortened(text: str) -> str:
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."
