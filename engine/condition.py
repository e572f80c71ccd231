"""The text of a condition: graph inputs and literals, compared and combined with `and`, `or`, `not`."""

import re
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from engine.expression import Combine, Compare, Constant, Expression, Input, Not, WrongExpression
from engine.problems import shown
from engine.source import MAX_INTEGER

MAX_LENGTH: Final = 1000
"""Characters in one condition."""

MAX_NESTING: Final = 30
"""Parentheses and `not`s inside one another."""


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


_TOKEN = re.compile(
    r"\s*+(?:"
    r"(?P<input>\$inputs\.[A-Za-z_][A-Za-z0-9_]*+)"
    r"|(?P<number>[-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?)(?![\w.])"
    r"|(?P<sign>==|!=|<=|>=|<|>)"
    r"|(?P<paren>[()])"
    r"|(?P<word>and|or|not|true|false|null)\b"
    r"|(?P<text>\"[^\"\\]*+\"|'[^'\\]*+')"
    r"|(?P<end>\Z))"
)
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}


def read_expression(text: str) -> Expression:
    """Read a condition; raises WrongExpression."""
    if len(text) > MAX_LENGTH:
        raise WrongExpression(f"a condition may have {MAX_LENGTH} characters, this one has {len(text)}", 0)
    return _Reader(text).read()


class _Reader:
    """Precedence from loose to tight: or, and, not, comparison."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.index = 0
        self.depth = 0
        self.token = self.scan()

    def scan(self) -> _Token:
        match = _TOKEN.match(self.text, self.index)
        if match is None or match.lastgroup is None:
            rest = self.text[self.index :]
            column = self.index + len(rest) - len(rest.lstrip())
            raise WrongExpression(self.explain(self.text[column:]), column)
        self.index = match.end()
        kind = match.lastgroup
        return _Token(kind, match[kind], match.start(kind))

    def explain(self, rest: str) -> str:
        if rest.startswith("$"):
            return "a condition uses graph inputs only: $inputs.name"
        if rest.startswith("="):
            return "use == to compare"
        if rest.startswith(("&", "|", "!")):
            return "use the words and, or, not"
        return f"cannot read {shown(rest[:20])}; text stands in quotes, graph inputs are written $inputs.name"

    def take(self) -> _Token:
        token, self.token = self.token, self.scan() if self.token.kind != "end" else self.token
        return token

    def read(self) -> Expression:
        result = self.either()
        if self.token.kind != "end":
            raise self.unexpected("expected the end, `and` or `or`")
        return result

    def unexpected(self, expected: str) -> WrongExpression:
        found = "the end" if self.token.kind == "end" else f"`{self.token.text[:20]}`"
        return WrongExpression(f"{expected}, found {found}", self.token.column, max(1, len(self.token.text)))

    def either(self) -> Expression:
        return self.combined("or", self.both)

    def both(self) -> Expression:
        return self.combined("and", self.negated)

    def combined(self, word: Literal["and", "or"], inner: Callable[[], Expression]) -> Expression:
        column = self.token.column
        parts = [inner()]
        while self.token.text == word and self.token.kind == "word":
            self.take()
            parts.append(inner())
        return parts[0] if len(parts) == 1 else Combine(word, tuple(parts), column)

    def negated(self) -> Expression:
        if self.token.kind == "word" and self.token.text == "not":
            column = self.take().column
            self.deeper()
            result = Not(self.negated(), column)
            self.depth -= 1
            return result
        return self.comparison()

    def comparison(self) -> Expression:
        left = self.operand()
        if self.token.kind != "sign":
            return left
        sign = self.take()
        result = Compare(sign.text, left, self.operand(), sign.column)  # type: ignore[arg-type]
        if self.token.kind == "sign":
            raise self.unexpected("compare two things at a time and join them with `and`")
        return result

    def operand(self) -> Expression:
        token = self.token
        if token.kind == "input":
            self.take()
            return Input(token.text.removeprefix("$inputs."), token.column)
        if token.kind == "number":
            self.take()
            return Constant(self.number(token), token.column)
        if token.kind == "text":
            self.take()
            return Constant(token.text[1:-1], token.column)
        if token.kind == "word" and token.text in _WORDS:
            self.take()
            return Constant(_WORDS[token.text], token.column)
        if token.text == "(":
            return self.parenthesis()
        raise self.unexpected("expected a graph input or a literal")

    def parenthesis(self) -> Expression:
        self.take()
        self.deeper()
        result = self.either()
        if self.token.text != ")":
            raise self.unexpected("expected `)`")
        self.take()
        self.depth -= 1
        return result

    def number(self, token: _Token) -> int | float:
        value = int(token.text) if token.text.lstrip("+-").isdigit() else float(token.text)
        if abs(value) >= MAX_INTEGER:
            raise WrongExpression("this number is too large", token.column, len(token.text))
        return value

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise WrongExpression(f"nested more than {MAX_NESTING} levels deep", self.token.column)
