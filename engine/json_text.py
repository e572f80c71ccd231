"""JSON read with positions.

JSON is nearly YAML; this reader exists for what libyaml does not take (surrogate pairs, U+2028, tabs before the first
value), and leaves everything that is not quite JSON to the YAML reader.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from engine.source import MAX_DEPTH, MAX_INTEGER, Scalar, Source, Tree, put, unpaired

_TOKEN = re.compile(
    r"[ \t\n\r]*+(?:"
    r"(?P<mark>[{}\[\],:])"
    r'|(?P<text>"(?:[^"\\\x00-\x1f]++|\\.)*+")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?)(?![\w.])"
    r"|(?P<word>true|false|null)\b"
    r"|(?P<wrong>NaN|-?Infinity)\b"
    r"|(?P<end>\Z))"
)
_WORDS: Final[dict[str, Scalar]] = {"true": True, "false": False, "null": None}
_MAX_DIGITS = 300


class _NotJson(Exception):
    """The text is something else."""


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


def read_json(source: Source) -> Tree | None:
    """Read a JSON text; None if it is not JSON. Raises GraphErrors for JSON that no graph can hold."""
    try:
        return _Reader(source).read()
    except _NotJson:
        return None


def _tokens(text: str) -> Iterator[_Token]:
    index = 0
    while True:
        match = _TOKEN.match(text, index)
        if match is None or match.lastgroup is None:
            raise _NotJson
        kind = match.lastgroup
        yield _Token(kind, match[kind], match.start(kind))
        if kind == "end":
            return
        index = match.end()


class _Reader:
    """Builds the tree from tokens, without recursion."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = _tokens(source.text or "")
        self.open: list[tuple[Tree, Tree | int | None]] = []

    def read(self) -> Tree:
        root = tree = self.value(next(self.tokens), None, None)
        while True:
            if isinstance(tree.value, list | dict) and not self.is_closed(tree):
                tree = self.first(tree)
            else:
                following = self.next_sibling()
                if following is None:
                    return root
                tree = following

    def is_closed(self, tree: Tree) -> bool:
        """Tell whether this container has been read to its end."""
        return not self.open or self.open[-1][0] is not tree

    def first(self, container: Tree) -> Tree:
        token = next(self.tokens)
        closing = "}" if isinstance(container.value, dict) else "]"
        if token.text == closing:
            self.open.pop()
            return container
        return self.member(container, token)

    def next_sibling(self) -> Tree | None:
        """Read on to the next value, closing what ends; None at the end of the text."""
        while self.open:
            container = self.open[-1][0]
            token = next(self.tokens)
            if token.text == ",":
                return self.member(container, next(self.tokens))
            if token.text != ("}" if isinstance(container.value, dict) else "]"):
                raise _NotJson
            self.open.pop()
        if next(self.tokens).kind != "end":
            raise _NotJson
        return None

    def member(self, container: Tree, token: _Token) -> Tree:
        if isinstance(container.value, list):
            return self.value(token, container, len(container.value))
        if token.kind != "text" or next(self.tokens).text != ":":
            raise _NotJson
        key = self.scalar(token)
        if isinstance(container.value, dict) and str(key.value) in container.value:
            first = container.value[str(key.value)].name
            shown = str(key.value)[:60]
            raise self.error(token, f'the key "{shown}" stands here twice; first on line {first.line + 1}')
        return self.value(next(self.tokens), container, key)

    def value(self, token: _Token, parent: Tree | None, key: Tree | int | None) -> Tree:
        if token.text in ("{", "["):
            if len(self.open) >= MAX_DEPTH:
                raise self.error(token, f"nested more than {MAX_DEPTH} levels deep")
            line, column = self.source.position(token.start)
            tree = Tree(self.source, {} if token.text == "{" else [], line, column)
            self.open.append((tree, key))
        elif token.kind in ("text", "number", "word", "wrong"):
            tree = self.scalar(token)
        else:
            raise _NotJson
        if parent is not None and key is not None:
            put(parent, key, tree)
        return tree

    def scalar(self, token: _Token) -> Tree:
        line, column = self.source.position(token.start)
        return Tree(self.source, self.scalar_value(token), line, column, len(token.text))

    def scalar_value(self, token: _Token) -> Scalar:
        if token.kind == "word":
            return _WORDS[token.text]
        if token.kind == "wrong":
            raise self.error(token, "numbers must be finite")
        if token.kind == "number":
            return self.number(token)
        try:
            text = str(json.loads(token.text))
        except ValueError:
            raise _NotJson from None
        fault = "" if text.isascii() else unpaired(text)
        if fault:
            raise self.error(token, fault)
        return text

    def number(self, token: _Token) -> int | float:
        value: int | float = math.inf
        if len(token.text) <= _MAX_DIGITS:
            value = json.loads(token.text)
        if abs(value) >= MAX_INTEGER and (math.isinf(value) or isinstance(value, int)):
            raise self.error(token, "this number is too large")
        return value

    def error(self, token: _Token, message: str) -> Exception:
        line, column = self.source.position(token.start)
        return self.source.error(message, line, column, len(token.text))
