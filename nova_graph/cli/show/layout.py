"""Where cards and wires lie: in layers from left to right, ordered so that few wires cross.

The layered method of Sugiyama, Tagawa and Toda (1981): layers by the longest way from the start, long wires led through
every layer between, order by the mean of the neighbours, and heights drawn towards the neighbours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from nova_graph.cli.show.diagram import Card, Diagram, Wire

HEADER = 40.0
ROW = 17.0
PADDING = 9.0
_GAP_X = 84.0
_GAP_Y = 26.0
_LANE = 14.0
_LETTER = 6.7
_SWEEPS = 12


@dataclass(slots=True)
class Place:
    """A card, or a wire on its way through a layer where `card` is None; `y` is the upper edge."""

    card: Card | None
    layer: int
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0

    @property
    def middle(self) -> float:
        """The height of its middle."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Layout:
    """Every card's place, the points that each wire goes through, and the size of it all."""

    places: dict[str, Place]
    routes: tuple[tuple[Wire, tuple[tuple[float, float], ...]], ...]
    width: float
    height: float


def lay_out(diagram: Diagram) -> Layout:
    """Place the cards and lead the wires."""
    places = _cards(diagram)
    chains = [_chain(wire, places) for wire in diagram.wires]
    layers: list[list[str]] = [[] for _ in range(max((place.layer for place in places.values()), default=0) + 1)]
    for name, place in places.items():
        layers[place.layer].append(name)
    near = _neighbours(chains)
    _order(layers, near, places)
    _set_across(layers, places)
    _set_down(layers, near, places)
    routes = tuple(
        (wire, tuple(_points(wire, chain, places))) for wire, chain in zip(diagram.wires, chains, strict=True)
    )
    right = max((place.x + place.width for place in places.values()), default=0.0)
    bottom = max((place.y + place.height for place in places.values()), default=0.0)
    return Layout({name: place for name, place in places.items() if place.card is not None}, routes, right, bottom)


def port_height(card: Card, *, output: str | None = None, wired: str | None = None) -> float:
    """Return how far below the upper edge of its card a port lies."""
    if not card.type:
        return ROW
    row = card.outputs.index(output) if output is not None else card.inputs.index(wired or "")
    return HEADER + ROW * (row + 0.5)


def _cards(diagram: Diagram) -> dict[str, Place]:
    import networkx

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(card.id for card in diagram.cards)
    graph.add_edges_from((wire.source, wire.target) for wire in diagram.wires)
    cards = {card.id: card for card in diagram.cards}
    layers = list(networkx.topological_generations(graph))
    return {
        name: Place(cards[name], layer if cards[name].type else len(layers) - 1, *_size(cards[name]))
        for layer, names in enumerate(layers)
        for name in names
    }


def _size(card: Card) -> tuple[float, float]:
    if not card.type:
        return (_LETTER * len(card.inputs[0]) + 34, 2 * ROW)
    ports = max(len(card.inputs), len(card.outputs))
    longest = max(map(len, (card.id, card.type, *card.literals, *_port_lines(card))), default=0)
    return (max(128.0, _LETTER * longest + 2 * PADDING + 8), HEADER + ROW * (ports + len(card.literals)) + PADDING)


def _port_lines(card: Card) -> list[str]:
    rows = max(len(card.inputs), len(card.outputs))
    left = [*card.inputs, *[""] * (rows - len(card.inputs))]
    right = [*card.outputs, *[""] * (rows - len(card.outputs))]
    return [f"{one}   {other}" for one, other in zip(left, right, strict=True)]


def _chain(wire: Wire, places: dict[str, Place]) -> list[str]:
    """Return the places a wire goes through; wires from one port share the places in between."""
    first, last = places[wire.source].layer, places[wire.target].layer
    names = [wire.source]
    for layer in range(first + 1, last):
        name = f"{wire.source}\0{wire.output}\0{layer}"
        places.setdefault(name, Place(None, layer, 0.0, _LANE))
        names.append(name)
    return [*names, wire.target]


def _neighbours(chains: Iterable[list[str]]) -> dict[str, tuple[list[str], list[str]]]:
    near: dict[str, tuple[list[str], list[str]]] = {}
    for chain in chains:
        for one, other in pairwise(chain):
            near.setdefault(one, ([], []))[1].append(other)
            near.setdefault(other, ([], []))[0].append(one)
    return near


def _order(layers: list[list[str]], near: dict[str, tuple[list[str], list[str]]], places: dict[str, Place]) -> None:
    rank = {name: float(index) for layer in layers for index, name in enumerate(layer)}
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            means = {name: _mean([rank[other] for other in _side(near, name, forward)], rank[name]) for name in layer}
            layer.sort(key=lambda name: (means[name], places[name].card is None))
            rank.update((name, float(index)) for index, name in enumerate(layer))


def _set_across(layers: list[list[str]], places: dict[str, Place]) -> None:
    x = 0.0
    for layer in layers:
        width = max((places[name].width for name in layer), default=0.0)
        for name in layer:
            places[name].x = x + (width - places[name].width) / 2
            if places[name].card is None:
                places[name].x, places[name].width = x, width
        x += width + _GAP_X


def _set_down(layers: list[list[str]], near: dict[str, tuple[list[str], list[str]]], places: dict[str, Place]) -> None:
    for layer in layers:
        _stack(layer, dict.fromkeys(layer, 0.0), places)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            wanted = {
                name: _mean([places[other].middle for other in _side(near, name, forward)], places[name].middle)
                - places[name].height / 2
                for name in layer
            }
            _stack(layer, wanted, places)
    top = min((place.y for place in places.values()), default=0.0)
    for place in places.values():
        place.y -= top


def _stack(layer: list[str], wanted: dict[str, float], places: dict[str, Place]) -> None:
    """Put a layer's places as near to where they want to be as their order and the gaps allow."""
    blocks: list[tuple[float, list[str]]] = []
    for name in layer:
        block = (wanted[name], [name])
        while blocks and blocks[-1][0] + _extent(blocks[-1][1], places) > block[0]:
            above, names = blocks.pop()
            merged = [*names, *block[1]]
            weight = len(names) / len(merged)
            start = above * weight + (block[0] - _extent(names, places)) * (1 - weight)
            block = (start, merged)
        blocks.append(block)
    for start, names in blocks:
        y = start
        for name in names:
            places[name].y = y
            y += _extent([name], places)


def _extent(names: list[str], places: dict[str, Place]) -> float:
    return sum(places[name].height + (_GAP_Y if places[name].card is not None else 0.0) for name in names)


def _points(wire: Wire, chain: list[str], places: dict[str, Place]) -> Iterable[tuple[float, float]]:
    first, last = places[wire.source], places[wire.target]
    if first.card is not None:
        yield (first.x + first.width, first.y + port_height(first.card, output=wire.output))
    for name in chain[1:-1]:
        yield (places[name].x, places[name].middle)
        yield (places[name].x + places[name].width, places[name].middle)
    if last.card is not None:
        yield (last.x, last.y + port_height(last.card, wired=wire.input))


def _side(near: dict[str, tuple[list[str], list[str]]], name: str, forward: bool) -> list[str]:
    before, after = near.get(name, ([], []))
    return before if forward else after


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
