"""Conditions: what they mean, what is refused, and that reading them is bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.condition import read_expression
from engine.expression import Kinds, WrongExpression, check_kinds, evaluate, inputs_of
from engine.values import Json

VALUES: dict[str, Json] = {"n": 3, "x": 0.5, "on": True, "off": False, "name": "anime", "none": None, "size": 64}
KINDS: dict[str, Kinds] = {
    "n": frozenset(("number",)),
    "x": frozenset(("number",)),
    "on": frozenset(("boolean",)),
    "off": frozenset(("boolean",)),
    "name": frozenset(("string",)),
    "none": frozenset(("number", "null")),
    "size": frozenset(("number", "null")),
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$inputs.on", True),
        ("not $inputs.on", False),
        ("not not $inputs.on", True),
        ("$inputs.n > 0", True),
        ("$inputs.n>=3 and $inputs.x<=.5", True),
        ("$inputs.off and $inputs.on or $inputs.on", True),
        ("$inputs.off and ($inputs.on or $inputs.on)", False),
        ("$inputs.on or $inputs.off and $inputs.off", True),
        ("not $inputs.off and $inputs.on", True),
        ("not $inputs.n == 3", False),
        ("$inputs.name == 'anime'", True),
        ('$inputs.name != "photo"', True),
        ("$inputs.name < 'b'", True),
        ("$inputs.on == true", True),
        ("$inputs.none == null", True),
        ("$inputs.size == null", False),
        ("$inputs.none != null and $inputs.none > 3", False),
        ("$inputs.n == 3.0", True),
        ("-1 < +1e2", True),
        ("true", True),
    ],
)
def test_conditions_mean_what_they_say(text: str, result: bool) -> None:
    expression = read_expression(text)
    assert check_kinds(expression, KINDS.__getitem__) == {"boolean"}
    assert evaluate(expression, VALUES) is result


@pytest.mark.parametrize(
    "text",
    ["$inputs.n == '3'", "$inputs.on == 1", "$inputs.on > false", "null < 3", "1 and true", "not 3", "'a' or true"],
)
def test_unlike_things_are_not_compared(text: str) -> None:
    with pytest.raises(WrongExpression):
        check_kinds(read_expression(text), KINDS.__getitem__)


def test_null_has_no_order() -> None:
    with pytest.raises(WrongExpression, match="this is null here") as caught:
        evaluate(read_expression("1 < $inputs.none"), VALUES)
    assert caught.value.column == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "(",
        ")",
        "()",
        "1 <",
        "< 1",
        "true true",
        "and",
        "$inputs",
        "$inputs.",
        "$node.port",
        "a",
        "'",
        "1 = 1",
        "1 < 2 < 3",
        "not",
        "f(1)",
        "$inputs.a.b",
        "1e999 > 0",
        "true; true",
        "__import__('os')",
        "1 + 1 > 1",
        "1 in 2",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(WrongExpression):
        read_expression(text)


@pytest.mark.parametrize(
    "text", ["(" * 100_000, "not " * 100_000, "true and " * 100_000, "(" * 400 + "true" + ")" * 400]
)
def test_long_and_deep_conditions_are_refused(text: str) -> None:
    with pytest.raises(WrongExpression):
        read_expression(text)


def test_the_inputs_of_a_condition_are_found() -> None:
    expression = read_expression("not ($inputs.a > 1 or $inputs.b) and $inputs.a == $inputs.c")
    assert [use.name for use in inputs_of(expression)] == ["a", "b", "a", "c"]


WORDS = st.sampled_from(
    ["$inputs.n", "$inputs.on", "(", ")", "and", "or", "not", "==", "<", "1", "'a'", "true", "null"]
)


@given(st.lists(WORDS, max_size=30).map(" ".join) | st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        expression = read_expression(text)
        check_kinds(expression, KINDS.__getitem__)
        evaluate(expression, VALUES)
    except WrongExpression as wrong:
        assert 0 <= wrong.column <= len(text)  # noqa: PT017
