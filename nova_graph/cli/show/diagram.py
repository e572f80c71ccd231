"""What there is to draw of a graph: cards for nodes, wires for references."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.bound import Binding, Bound, BoundNode, Literal, Reference, Several
from engine.declaration import type_name
from engine.problems import shown

_LONGEST = 26
"""Characters of a literal that fit on a card."""


@dataclass(frozen=True, slots=True)
class Card:
    """A node, or an output of the graph where `type` is empty."""

    id: str
    type: str
    inputs: tuple[str, ...]
    literals: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wire:
    """A value that flows from one card to another; `type` is that of the value."""

    source: str
    output: str
    target: str
    input: str
    type: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """Everything to draw."""

    title: str
    cards: tuple[Card, ...]
    wires: tuple[Wire, ...]


def diagram_of(bound: Bound, title: str, unsettled: Mapping[str, str] | None = None) -> Diagram:
    """Return the cards and wires of a graph whose includes are expanded; its outputs are cards at the end.

    `unsettled` has, for graph inputs whose value says nothing, such as a random seed, what to write instead.
    """
    types = {
        (node.id, port.name): type_name(port.annotation)
        for node in bound.nodes
        for port in node.declaration.outputs.values()
    }
    wires = [wire for node in bound.nodes for wire in _wires(node, types)]
    cards = [_card(node, wires, unsettled or {}) for node in bound.nodes]
    for name, reference in bound.outputs.items():
        card = Card(f"outputs.{name}", "", (name,), (), ())
        cards.append(card)
        kind = types.get((reference.node, reference.port), "")
        wires.append(Wire(reference.node, reference.port, card.id, name, kind))
    return Diagram(title, tuple(cards), tuple(wires))


def _wires(node: BoundNode, types: dict[tuple[str, str], str]) -> Iterator[Wire]:
    for port, binding in node.bindings.items():
        for reference in _references(binding):
            kind = types.get((reference.node, reference.port), "")
            yield Wire(reference.node, reference.port, node.id, port, kind)


def _references(binding: Binding) -> list[Reference]:
    if isinstance(binding, Reference):
        return [binding]
    if isinstance(binding, Several):
        return [item for item in binding.items if isinstance(item, Reference)]
    return []


def _card(node: BoundNode, wires: list[Wire], unsettled: Mapping[str, str]) -> Card:
    wired = {wire.input: None for wire in wires if wire.target == node.id}
    literals = [
        f"{port} {_short(unsettled.get(binding.origin or '', binding.value))}"
        for port, binding in node.bindings.items()
        if isinstance(binding, Literal) and binding.value is not None
    ]
    return Card(node.id, node.declaration.name, tuple(wired), tuple(literals), tuple(node.declaration.outputs))


def _short(value: object) -> str:
    text = value if isinstance(value, str) and value.isprintable() and value else shown(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
