"""The conditions behind `when:`: graph inputs and literals, compared and combined with `and`, `or`, `not`."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from engine.problems import shown
from engine.source import MAX_INTEGER
from engine.values import Json

MAX_LENGTH: Final = 1000
"""Characters in one condition."""

MAX_NESTING: Final = 30
"""Parentheses and `not`s inside one another."""

Comparison = Literal["==", "!=", "<", "<=", ">", ">="]
Kinds = frozenset[str]
"""The types a part of a condition may have: boolean, number, string, null."""


class WrongExpression(Exception):
    """A condition is wrong; `column` counts from 0 within its text."""

    def __init__(self, message: str, column: int, length: int = 1) -> None:
        super().__init__(message)
        self.column = column
        self.length = length


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal in a condition."""

    value: bool | int | float | str | None
    column: int


@dataclass(frozen=True, slots=True)
class Input:
    """`$inputs.name` in a condition."""

    name: str
    column: int


@dataclass(frozen=True, slots=True)
class Compare:
    """Two sides and how they are compared."""

    sign: Comparison
    left: "Expression"
    right: "Expression"
    column: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: "Expression"
    column: int


@dataclass(frozen=True, slots=True)
class Combine:
    """All of the parts, or any of them."""

    word: Literal["and", "or"]
    parts: "tuple[Expression, ...]"
    column: int


Expression = Constant | Input | Compare | Not | Combine


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


def inputs_of(expression: Expression) -> Iterator[Input]:
    """Iterate over the graph inputs a condition uses."""
    if isinstance(expression, Input):
        yield expression
    for part in _parts(expression):
        yield from inputs_of(part)


def check_kinds(expression: Expression, kinds_of: Callable[[str], Kinds]) -> Kinds:
    """Return the kinds a condition may give; raises WrongExpression where unlike things are compared or combined."""
    if isinstance(expression, Constant):
        return frozenset((_kind(expression.value),))
    if isinstance(expression, Input):
        return kinds_of(expression.name)
    kinds = [check_kinds(part, kinds_of) for part in _parts(expression)]
    if isinstance(expression, Compare):
        _check_comparison(expression, *kinds)
    else:
        for part, found in zip(_parts(expression), kinds, strict=True):
            if found != {"boolean"}:
                word = "not" if isinstance(expression, Not) else expression.word
                raise WrongExpression(f"`{word}` combines true and false, and this is {_called(found)}", part.column)
    return frozenset(("boolean",))


def evaluate(expression: Expression, values: Mapping[str, Json]) -> Json:
    """Return what a condition comes to; raises WrongExpression for an order with null."""
    if isinstance(expression, Constant):
        return expression.value
    if isinstance(expression, Input):
        return values[expression.name]
    if isinstance(expression, Not):
        return not evaluate(expression.part, values)
    if isinstance(expression, Combine):
        results = (bool(evaluate(part, values)) for part in expression.parts)
        return all(results) if expression.word == "and" else any(results)
    return _compare(expression, evaluate(expression.left, values), evaluate(expression.right, values))


def _compare(expression: Compare, left: Json, right: Json) -> bool:
    sign = expression.sign
    if sign in ("==", "!="):
        equal = _kind(left) == _kind(right) and left == right
        return equal if sign == "==" else not equal
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        empty = expression.left if left is None else expression.right
        raise WrongExpression(f"this is null here, so it cannot be compared with {sign}", empty.column)
    order = (left > right) - (left < right)  # type: ignore[operator]
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[sign]


def _check_comparison(expression: Compare, left: Kinds, right: Kinds) -> None:
    ordered = expression.sign not in ("==", "!=")
    usable = frozenset(("number", "string")) if ordered else left | right
    if not left & right & usable:
        raise WrongExpression(
            f"{_called(left)} cannot be compared with {_called(right)} by {expression.sign}", expression.column
        )


def _parts(expression: Expression) -> tuple[Expression, ...]:
    if isinstance(expression, Compare):
        return (expression.left, expression.right)
    if isinstance(expression, Not):
        return (expression.part,)
    return expression.parts if isinstance(expression, Combine) else ()


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _called(kinds: Kinds) -> str:
    names = {"number": "a number", "string": "text", "boolean": "true or false", "null": "null"}
    return " or ".join(names.get(kind, kind) for kind in sorted(kinds))


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
