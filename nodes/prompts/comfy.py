r"""The prompt syntax of ComfyUI, read in linear time and without recursion.

`(x)` multiplies the weight by 1.1; `(x:1.3)` sets it to 1.3, whatever encloses it. The number is what follows the last
colon, as Python reads a float. Square brackets and BREAK are plain text; so are parentheses that do not pair up.
`\(` and `\)` are the characters themselves; any other backslash stays.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass

from nodes.prompts.fragments import Fragment, Section, bound_weight, multiply_weights, read_weight

_EMPHASIS = 1.1
_PARENTHESIS = re.compile(r"(?<!\\)[()]")


@dataclass(frozen=True, slots=True)
class _Range:
    """A stretch of the prompt, still to be read, and the weight around it."""

    start: int
    end: int
    weight: float


def parse_comfy(text: str) -> Section:
    """Split a prompt into weighted fragments; never fails."""
    return _Parser(text).parse()


class _Parser:
    """Reads ranges from left to right; the contents of a group come before what follows the group."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._parentheses = [match.start() for match in _PARENTHESIS.finditer(text)]
        self._partners = self._pair()
        self._openings = list(self._partners)
        self._next_opening = 0
        self._fragments: list[Fragment] = []

    def parse(self) -> Section:
        """Read the whole prompt."""
        unread = [_Range(0, len(self._text), 1.0)]
        while unread:
            unread.extend(self._read(unread.pop()))
        return tuple(self._fragments)

    def _pair(self) -> dict[int, int | None]:
        """Map each opening parenthesis to its closing one; None where it is never closed.

        After a closing parenthesis too many, the next opening one only makes up for it and is text.
        """
        partners: dict[int, int | None] = {}
        unclosed: list[int] = []
        surplus = 0
        for position in self._parentheses:
            if self._text[position] == ")":
                if unclosed:
                    partners[unclosed.pop()] = position
                else:
                    surplus += 1
            elif surplus:
                surplus -= 1
            else:
                partners[position] = None
                unclosed.append(position)
        return partners

    def _read(self, unread: _Range) -> list[_Range]:
        """Read up to the first group; return what follows it and, last, what is in it."""
        opening = self._find_opening(unread)
        if opening is None:
            self._add(unread.start, unread.end, unread.weight)
            return []
        self._add(unread.start, opening, unread.weight)
        closing = self._partners[opening]
        if closing is None or closing >= unread.end:
            return self._read_unclosed(opening, unread)
        rest = _Range(closing + 1, unread.end, unread.weight)
        return [rest, self._group(opening + 1, closing, unread.weight)]

    def _read_unclosed(self, opening: int, unread: _Range) -> list[_Range]:
        """Read a group that is not closed: text, unless a parenthesis ends the range and so passes for its own."""
        last = unread.end - 1
        if last > opening and self._is_parenthesis(last):
            return [self._group(opening + 1, last, unread.weight)]
        self._add(opening, unread.end, unread.weight)
        self._next_opening = bisect_left(self._openings, unread.end)
        return []

    def _find_opening(self, unread: _Range) -> int | None:
        """Return the next opening parenthesis in the range; ranges come in order, so none is looked at twice."""
        if self._next_opening >= len(self._openings):
            return None
        opening = self._openings[self._next_opening]
        if opening >= unread.end:
            return None
        self._next_opening += 1
        return opening

    def _group(self, start: int, end: int, outer: float) -> _Range:
        """Take the weight off the end of a group, where it has one."""
        colon = self._text.rfind(":", self._last_parenthesis(start, end) + 1, end)
        if colon > start:
            weight = read_weight(self._text[colon + 1 : end])
            if weight is not None:
                return _Range(start, colon, weight)
        return _Range(start, end, multiply_weights(outer, _EMPHASIS))

    def _last_parenthesis(self, start: int, end: int) -> int:
        """Return the last parenthesis of a range, or the place before it; no number reaches across one."""
        index = bisect_left(self._parentheses, end) - 1
        return max(start - 1, self._parentheses[index] if index >= 0 else -1)

    def _is_parenthesis(self, position: int) -> bool:
        index = bisect_left(self._parentheses, position)
        return index < len(self._parentheses) and self._parentheses[index] == position and self._text[position] == ")"

    def _add(self, start: int, end: int, weight: float) -> None:
        text = self._text[start:end].replace("\\(", "(").replace("\\)", ")")
        if text:
            self._fragments.append(Fragment(text, bound_weight(weight)))
