"""What a node may declare, and what is refused when it is registered."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, create_model

from engine import Context, Node, Output, Registry, Value
from engine.errors import RegistryError
from tests.engine.arith import Num, Token

Grade = Annotated[int, Field(ge=0, le=9)]


@dataclass
class Loose(Value):
    """A value that can be changed."""

    items: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Bag(Value):
    """A value that cannot be changed, and what is in it can."""

    name: str
    items: tuple[list[int], ...] | None = None


@dataclass(frozen=True)
class Chain(Value):
    """A value that holds others of its kind, and a bag."""

    bag: Bag
    rest: "Chain | None" = None


@dataclass(frozen=True)
class Tree(Value):
    """A value that holds others of its kind, and nothing that can be changed."""

    token: Token
    leaves: tuple["Tree", ...] = ()


class Takes(Node[Num]):
    """Take something."""

    def run(self, ctx: Context) -> Num:
        return Num(value=0)


def registered(annotation: Any) -> Registry:
    """Register a node with an input of that type."""
    return Registry([create_model("Takes", __base__=Takes, __doc__="Take it.", value=(annotation, ...))])


@pytest.mark.parametrize(
    "annotation",
    [
        int,
        float | None,
        str | bytes,
        Literal["a", "b"],
        Literal[1] | Token,
        tuple[int, ...],
        tuple[Token, str],
        tuple[tuple[Grade, ...], ...] | None,
        Grade | None,
        Tree,
    ],
    ids=str,
)
def test_ports_take_what_cannot_be_changed(annotation: Any) -> None:
    assert "value" in registered(annotation)["Takes"].inputs


@pytest.mark.parametrize(
    "annotation",
    [list[int], list, dict[str, int], set[str], tuple[list[int], ...], list[int] | None, complex, type],
    ids=str,
)
def test_ports_of_what_a_consumer_could_change_are_refused(annotation: Any) -> None:
    with pytest.raises(RegistryError, match=r"port Takes\.value has type \w+, whose values cannot be kept") as caught:
        registered(annotation)
    assert "tuples and unions" in caught.value.hint


def test_outputs_are_held_to_the_same() -> None:
    output = create_model("Listed", __base__=Output, items=(list[int], ...))

    class Lists(Node[output]):
        """Give a list."""

    with pytest.raises(RegistryError, match=r"port Lists\.items has type list"):
        Registry([Lists])


def test_values_that_can_be_changed_and_any_are_refused() -> None:
    with pytest.raises(RegistryError, match=r"port Takes\.value has type Loose, which is not a frozen dataclass"):
        registered(tuple[Loose, ...])
    with pytest.raises(RegistryError, match=r"type Bag, whose field items can be changed: it is a list"):
        registered(Bag)
    with pytest.raises(RegistryError, match=r"port Takes\.value has type Bag, whose field items"):
        registered(tuple[Chain, ...])
    with pytest.raises(RegistryError, match=r"port Takes\.value is declared Any"):
        registered(Any)
