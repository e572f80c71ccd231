"""Values and outputs of every storable kind, and random ones of them."""

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

from engine.node import Output
from engine.values import Value


@dataclass(frozen=True, slots=True)
class Numbers(Value):
    dtype: Literal["F32", "U8"]
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Leaf(Value):
    whole: int
    real: float
    text: str
    raw: bytes
    flag: bool = True


@dataclass(frozen=True, slots=True)
class Fork(Value):
    pair: tuple[int, str]
    many: tuple["Leaf | Fork | bytes | str | None", ...]
    numbers: Numbers | None = None


class Tree(Output):
    fork: Fork
    either: bool | int | str | bytes | None
    choice: Literal["a", 1, True]
    rows: tuple[tuple[int, ...], ...]


texts = st.text(st.characters(codec=None, categories=None), max_size=8)
reals = st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, float("inf")]) | st.just(1)
integers = st.integers() | st.sampled_from([0, 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**4000])
leaves = st.builds(Leaf, integers, reals, texts, st.binary(max_size=20), st.booleans())
numbers = st.binary(max_size=6).map(lambda data: Numbers("F32", (len(data), 1), data * 4)) | st.builds(
    Numbers, st.sampled_from(["F32", "U8"]), st.tuples(st.integers(-3, 3)), st.binary(max_size=5)
)


def forks(items: st.SearchStrategy[object]) -> st.SearchStrategy[Fork]:
    """Return forks that hold the given items."""
    return st.builds(
        Fork,
        st.tuples(integers, texts),
        st.lists(items, max_size=4).map(tuple),
        st.none() | numbers,
    )


items: st.SearchStrategy[object] = st.recursive(
    leaves | texts | st.binary(max_size=5) | st.none(), forks, max_leaves=10
)
trees = st.builds(
    Tree,
    fork=forks(items),
    either=st.none() | st.booleans() | integers | texts.filter(str.isascii) | st.binary(max_size=5),
    choice=st.sampled_from(["a", 1, True]),
    rows=st.lists(st.lists(integers, max_size=3).map(tuple), max_size=3).map(tuple),
)


def same(one: object, other: object) -> bool:
    """Tell whether two values are equal to the last bit and type, which `==` does not (1 == True, 0.0 == -0.0)."""
    return exact(one) == exact(other)


def exact(value: object) -> object:
    """Return a value with every type spelt out."""
    if isinstance(value, Output):
        return (type(value), [exact(port) for port in vars(value).values()])
    if isinstance(value, Value):
        return (type(value), [exact(getattr(value, name)) for name in value.__dataclass_fields__])  # type: ignore[attr-defined]
    if isinstance(value, tuple):
        return [exact(item) for item in value]
    if isinstance(value, float):
        return ("float", value.hex())
    return (type(value), value)
