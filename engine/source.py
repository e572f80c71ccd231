"""The text of a graph as a tree of values that know where they were written."""

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from engine.errors import GraphErrors, Problem, Span
from engine.values import Json

MAX_BYTES: Final = 4 * 2**20
"""A graph file may be this long."""

MAX_DEPTH: Final = 64
"""Lists and mappings may be nested this deep."""

MAX_VALUES: Final = 1_000_000
"""A parsed tree may hold this many values."""

MAX_INTEGER: Final = 10**100
"""Integers stay below this in size, so that each fits a float."""

_LINE_SHOWN = 200
_CARET_SHOWN = 160
_BREAK = re.compile(r"\r\n|\r|\n")

Scalar = None | bool | int | float | str


class Source:
    """A text with a name; finds lines for error messages."""

    def __init__(self, file: str, text: str | None) -> None:
        self.file = file
        self.text = text

    @cached_property
    def lines(self) -> list[str]:
        """The lines, without their ends."""
        return _BREAK.split(self.text or "")

    @cached_property
    def starts(self) -> list[int]:
        """Where each line starts in the text."""
        return [0, *(found.end() for found in _BREAK.finditer(self.text or ""))]

    def position(self, index: int) -> tuple[int, int]:
        """Return line and column, from 0, of a character."""
        line = bisect_right(self.starts, index) - 1
        return line, index - self.starts[line]

    def span(self, line: int, column: int, length: int = 1) -> Span:
        """Return the span at a line and column that count from 0; very long lines are shown cut, or not at all."""
        text = self.lines[line] if line < len(self.lines) else ""
        if not text.isprintable():
            text = "".join(letter if letter.isprintable() else " " for letter in text)
        length = max(1, min(length, len(text) - column))
        if column >= _CARET_SHOWN:
            return Span(self.file, line + 1, column + 1, length)
        if len(text) > _LINE_SHOWN:
            text = text[:_LINE_SHOWN] + "..."
            length = min(length, len(text) - column)
        return Span(self.file, line + 1, column + 1, length, text)

    def error(self, message: str, line: int = 0, column: int = 0, length: int = 1) -> GraphErrors:
        """Return the error to raise for a text that cannot be read further."""
        return GraphErrors([Problem(message, self.span(line, column, length))])


class Tree:
    """A value and its place: a scalar, a list of trees, or a dict of trees.

    `plain` marks YAML scalars without quotes; `key` is the key as written, or the index in a list.
    """

    __slots__ = ("column", "key", "length", "line", "parent", "plain", "source", "value")

    def __init__(
        self,
        source: Source,
        value: "Scalar | list[Tree] | dict[str, Tree]",
        line: int = -1,
        column: int = 0,
        length: int = 1,
    ) -> None:
        self.source = source
        self.value = value
        self.line = line
        self.column = column
        self.length = length
        self.plain = False
        self.parent: Tree | None = None
        self.key: Tree | int | None = None

    @property
    def span(self) -> Span | None:
        """Where it was written; None where there was no text."""
        if self.line < 0:
            return None
        return self.source.span(self.line, self.column, self.length)

    @property
    def path(self) -> str:
        """The keys that lead here: `nodes.sampler.inputs.items[2]`."""
        parts: list[str] = []
        here: Tree | None = self
        while here is not None and here.key is not None:
            parts.append(f"[{here.key}]" if isinstance(here.key, int) else f".{here.key.value}")
            here = here.parent
        return "".join(reversed(parts)).removeprefix(".")

    @property
    def name(self) -> "Tree":
        """The key this value was written under, where it has one, else the value itself."""
        return self.key if isinstance(self.key, Tree) else self

    @property
    def is_left_out(self) -> bool:
        """Tell whether nothing stands behind a key: `{prompt: 1girl, solo}` has nothing behind `solo`."""
        return self.value is None and self.line >= 0 and self.source.lines[self.line][self.column :][:1] in {",", "}"}

    def children(self) -> "Iterator[Tree]":
        """Iterate over what lies directly inside."""
        if isinstance(self.value, dict):
            yield from self.value.values()
        elif isinstance(self.value, list):
            yield from self.value

    def plainly(self) -> Json:
        """Return the value alone, without places."""
        value = self.value
        if isinstance(value, dict):
            return {key: child.plainly() for key, child in value.items()}
        if isinstance(value, list):
            return [child.plainly() for child in value]
        return value


def put(parent: Tree, key: Tree | int, child: Tree) -> None:
    """Hang a value into a list or mapping.

    Only trees without places know their parents, for the path: in large texts such circles keep the collector busy.
    """
    child.key = key
    if parent.line < 0:
        child.parent = parent
    if isinstance(parent.value, dict) and isinstance(key, Tree):
        parent.value[str(key.value)] = child
        if parent.line < 0:
            key.parent = parent
            key.key = key
    elif isinstance(parent.value, list):
        parent.value.append(child)


def plant(data: object, file: str) -> Tree:
    """Turn parsed JSON into a tree without places; raises GraphErrors for what JSON does not have."""
    source = Source(file, None)
    root = Tree(source, None)
    waiting: list[tuple[Tree, object, int]] = [(root, data, 0)]
    count = 0
    while waiting:
        tree, value, depth = waiting.pop()
        count += 1
        if count > MAX_VALUES:
            raise GraphErrors([Problem(f"the graph holds more than {MAX_VALUES} values")])
        if depth > MAX_DEPTH:
            raise GraphErrors([Problem(f"the graph is nested more than {MAX_DEPTH} levels deep")])
        if isinstance(value, dict):
            tree.value = {}
            for key, item in value.items():
                if not isinstance(key, str):
                    raise _refuse(tree, f"keys must be text, got {type(key).__name__}")
                child = Tree(source, None)
                put(tree, Tree(source, _scalar(tree, key)), child)
                waiting.append((child, item, depth + 1))
        elif isinstance(value, list):
            tree.value = []
            for index, item in enumerate(value):
                child = Tree(source, None)
                put(tree, index, child)
                waiting.append((child, item, depth + 1))
        else:
            tree.value = _scalar(tree, value)
    return root


def _scalar(tree: Tree, value: object) -> Scalar:
    fault = ""
    if isinstance(value, str):
        fault = "" if value.isascii() else unpaired(value)
    elif isinstance(value, int):
        fault = "" if abs(value) < MAX_INTEGER else "this number is too large"
    elif isinstance(value, float):
        fault = "" if math.isfinite(value) else "numbers must be finite"
    elif value is not None:
        fault = f"{type(value).__name__} is not JSON"
    if fault:
        raise _refuse(tree, fault)
    return value  # type: ignore[return-value]


def unpaired(text: str) -> str:
    """Say what is wrong with a text that holds half a surrogate pair, else nothing."""
    return "this text holds half of a surrogate pair, which is no character" if _SURROGATE.search(text) else ""


_SURROGATE = re.compile("[\ud800-\udfff]")


def _refuse(tree: Tree, message: str) -> GraphErrors:
    place = f"{tree.path}: " if tree.path else ""
    return GraphErrors([Problem(place + message)])
