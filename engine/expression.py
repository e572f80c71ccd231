"""The conditions behind `when:`: what their parts may be, and what they come to."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from engine.values import Json

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
