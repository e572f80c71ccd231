r"""The prompt syntax of AUTOMATIC1111's web UI, read in linear time.

`(x)` multiplies the weight by 1.1, `[x]` divides it by 1.1, `(x:1.3)` multiplies it by 1.3; brackets nest and multiply.
A bracket that is never closed acts on all that follows. `\(`, `\)`, `\[`, `\]` and `\\` are the characters
themselves; any other backslash is dropped. `BREAK` starts a new section.
"""

import re
from dataclasses import dataclass

from nodes.prompts.fragments import Section, bound_weight, merge_runs, multiply_weights, read_weight

_ROUND = 1.1
_SQUARE = 1 / 1.1
_BREAK = re.compile(r"\bBREAK\b")

# Possessive quantifiers (`++`, `*+`) never look back, so no input can make the search quadratic.
_TOKEN = re.compile(
    r"""
    \\ (?P<escaped> [\\()\[\]] )?
    | : \s*+ (?P<weight> [+-]? [.0-9]++ ) \s*+ \)
    | (?P<bracket> [()\[\]] )
    | (?P<text> : | [^\\()\[\]:]++ )
    """,
    re.VERBOSE,
)


@dataclass(slots=True)
class _Bracket:
    """An opening (with the factor of what it encloses) or a closing bracket that takes part in weighting."""

    kind: str
    factor: float = 1.0
    opens: bool = False


_Item = str | _Bracket | None
"""A text, a bracket, or None for BREAK."""


def parse_a1111(text: str) -> tuple[Section, ...]:
    """Split a prompt into sections of weighted fragments; never fails, never empty."""
    sections: list[list[tuple[str, float]]] = [[]]
    enclosing = {"(": [1.0], "[": [1.0]}
    weight = 1.0
    for item in _find_items(text):
        if item is None:
            sections.append([])
        elif isinstance(item, str):
            sections[-1].append((item, weight))
        else:
            weights = enclosing[item.kind]
            if item.opens:
                weights.append(multiply_weights(weights[-1], item.factor))
            else:
                weights.pop()
            weight = bound_weight(multiply_weights(enclosing["("][-1], enclosing["["][-1]))
    merged = [merge_runs(section) for section in sections]
    if len(merged) > 1 and not merged[-1]:
        merged.pop()
    return tuple(merged)


def _find_items(text: str) -> list[_Item]:
    """Pair the brackets, so that each opening one knows its factor before its contents are weighted."""
    items: list[_Item] = []
    open_brackets: dict[str, list[_Bracket]] = {"(": [], "[": []}
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "text":
            items.extend(_split_at_breaks(token[0]))
        elif token.lastgroup == "bracket":
            items.append(_take_bracket(token[0], open_brackets))
        elif token.lastgroup == "weight":
            items.extend(_close_weighted(token[0], token["weight"], open_brackets["("]))
        elif token.lastgroup == "escaped":
            items.append(token["escaped"])
    return items


def _take_bracket(bracket: str, open_brackets: dict[str, list[_Bracket]]) -> _Item:
    """Open or close a bracket; a closing one that nothing opened is text."""
    if bracket in "([":
        factor = _ROUND if bracket == "(" else _SQUARE
        opening = _Bracket(bracket, factor, opens=True)
        open_brackets[bracket].append(opening)
        return opening
    kind = "(" if bracket == ")" else "["
    if not open_brackets[kind]:
        return bracket
    open_brackets[kind].pop()
    return _Bracket(kind)


def _close_weighted(text: str, weight: str, open_brackets: list[_Bracket]) -> list[_Item]:
    """Close a bracket with a weight of its own, `:1.3)`; the text stays where it is no number or closes nothing."""
    if not open_brackets:
        return [text]
    opening = open_brackets.pop()
    factor = read_weight(weight)
    if factor is None:
        return [text[:-1], _Bracket("(")]
    opening.factor = factor
    return [_Bracket("(")]


def _split_at_breaks(text: str) -> list[_Item]:
    """Replace each BREAK, and the white space around it, by None."""
    if "BREAK" not in text:
        return [text]
    parts = _BREAK.split(text)
    last = len(parts) - 1
    items: list[_Item] = []
    for index, part in enumerate(parts):
        if index > 0:
            items.append(None)
        before = part if index == 0 else part.lstrip()
        items.append(before if index == last else before.rstrip())
    return items
