"""Canonical bytes: injective, typed, the same in every process."""

import os
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.canonical import Unkeyable, canonical
from engine.values import Value

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Pair(Value):
    left: object
    right: object


@dataclass(frozen=True, slots=True)
class Twin(Value):
    left: object
    right: object


class Loud(str):
    __slots__ = ("volume",)


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    ONE = 1


class Size(NamedTuple):
    width: int
    height: int


@dataclass
class Loose(Value):
    number: int


class Undeclared(Pair):
    """Adds an attribute that the fields do not tell of."""

    extra = 1


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None, categories=None), max_size=5)
    | st.binary(max_size=5)
    | st.sampled_from([0, 1, -0.0, 0.0, 1.0, True, False, "", b"", "1", b"1", "n", 10**30])
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.builds(Pair, inner, inner)
        | st.builds(Twin, inner, inner)
    ),
    max_leaves=8,
)


def model(value: object) -> object:
    """An independent, obviously injective picture of a value, comparable with ==."""
    if isinstance(value, float):
        return ("float", value.hex())
    if isinstance(value, tuple):
        return ("tuple", [model(item) for item in value])
    if isinstance(value, dict):
        return ("dict", [(name, model(value[name])) for name in sorted(value)])
    if isinstance(value, Pair | Twin):
        return (type(value).__name__, model(value.left), model(value.right))
    return (type(value).__name__, value)


@given(trees, trees)
def test_equal_bytes_mean_equal_values(one: object, other: object) -> None:
    assert (canonical(one) == canonical(other)) == (model(one) == model(other))


@given(st.lists(trees, max_size=4), st.lists(trees, max_size=4))
def test_concatenations_are_told_apart(one: list[object], other: list[object]) -> None:
    same = b"".join(map(canonical, one)) == b"".join(map(canonical, other))
    assert same == (list(map(model, one)) == list(map(model, other)))


def test_one_in_its_many_types() -> None:
    ones = [1, 1.0, True, "1", b"1", (1,), ((1,),), {"1": 1}, Pair(1, 1), Twin(1, 1)]
    assert len({canonical(one) for one in ones}) == len(ones)


def test_the_sign_of_zero_counts() -> None:
    assert canonical(0.0) != canonical(-0.0)


def test_two_halves_of_a_pair_are_not_the_character() -> None:
    assert canonical("\ud83d\ude00") != canonical("\U0001f600")


def test_dict_order_does_not_matter() -> None:
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [1],
        {1},
        {1: 2},
        bytearray(b"x"),
        object(),
        print,
        int,
        1j,
        Loud("x"),
        Colour.RED,
        Level.ONE,
        Size(1, 2),
        Loose(1),
        Undeclared(1, 2),
        Path("x"),
        {Loud("x"): 1},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_told_apart_is_refused(value: object) -> None:
    for wrapped in (value, (value,), {"x": value}, Pair(value, 1)):
        with pytest.raises(Unkeyable):
            canonical(wrapped)


def test_depth_is_bounded_and_never_a_constant() -> None:
    def nest(leaf: object, depth: int) -> object:
        for _ in range(depth):
            leaf = (leaf,)
        return leaf

    assert canonical(nest("a", 100)) != canonical(nest("b", 100))
    with pytest.raises(Unkeyable):
        canonical(nest("a", 101))
    with pytest.raises(Unkeyable):
        canonical(nest("a", 1_000_000))


def test_a_dict_in_itself_is_refused() -> None:
    knot: dict[str, object] = {}
    knot["self"] = knot
    with pytest.raises(Unkeyable):
        canonical(knot)


def test_the_encoding_is_frozen() -> None:
    """Changing these bytes would throw away every cache in the world."""
    assert canonical((None, True, False, -255, 1.5, "é", b"\x00", {"b": 1, "a": ()})) == (
        b"(8:ntfi-ff;d\x3f\xf8\0\0\0\0\0\0s2:\xc3\xa9b1:\x00{2:s1:a(0:s1:bi1;"
    )


def test_other_processes_agree() -> None:
    program = "from engine.canonical import canonical; print(canonical({'b': (1, 'x'), 'a': 2.0, 'c': b'y'}).hex())"
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("0", "1")
    }
    assert printed == {canonical({"a": 2.0, "b": (1, "x"), "c": b"y"}).hex()}
