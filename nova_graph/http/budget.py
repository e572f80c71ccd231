"""How much a graph may ask for: nodes, pixels, steps, and the length of texts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from engine.bound import Binding, Bound, BoundNode, Literal, Reference, Several
from engine.graph import Graph
from engine.reading import Readable
from nova_graph.http.kinds import LIMIT
from nova_graph.http.problems import PlacedView, Trouble
from nova_graph.http.settings import HttpSettings

NATIVE = 1024
"""The edge that is counted where a graph leaves the size to the model."""

VALUES = 200_000
"""Values in a graph as it is written."""


PICTURE = "image"
"""The kind of asset that is a picture."""

PictureSize = Callable[[str], tuple[int, int] | None]
"""Called with the name of a picture; returns its (width, height) where that is known."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Pictures on their way through a graph."""

    width: float
    height: float
    count: float = 1

    @property
    def pixels(self) -> float:
        return self.width * self.height * self.count


_USUAL = _Batch(NATIVE, NATIVE)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a graph asks for, added up over its nodes."""

    pixels: int
    steps: int
    longest: int


def check_size(nodes: int, settings: HttpSettings) -> None:
    """Refuse a graph with too many nodes; raises Trouble."""
    if nodes > settings.nodes:
        raise _refusal([f"a graph may have {settings.nodes:,} nodes, this one has {nodes:,}"])


def check_values(given: Readable) -> None:
    """Refuse what holds so many values that reading it would take long; raises Trouble."""
    count = _marks(given) if isinstance(given, str) else _values(given)
    if count > VALUES:
        raise _refusal([f"a graph may hold {VALUES:,} values, this one holds more"])


def check_written(graph: Graph, settings: HttpSettings) -> None:
    """Refuse a graph that is too large before anything is done with it; raises Trouble."""
    check_size(len(graph.nodes), settings)


def check_needs(bound: Bound, settings: HttpSettings, picture_size: PictureSize) -> None:
    """Refuse a graph that asks for too much; raises Trouble with everything that is too much."""
    check_size(len(bound.nodes), settings)
    needs = needs_of(bound, picture_size)
    wrong = []
    if needs.pixels > settings.pixels:
        wrong.append(f"width x height x pictures may add up to {settings.pixels:,} pixels, here it is {needs.pixels:,}")
    if needs.steps > settings.steps:
        wrong.append(f"steps x pictures may add up to {settings.steps:,}, here it is {needs.steps:,}")
    if needs.longest > settings.prompt:
        wrong.append(f"a text may have {settings.prompt:,} characters, one here has {needs.longest:,}")
    if wrong:
        raise _refusal(wrong)


def needs_of(bound: Bound, picture_size: PictureSize) -> Needs:
    """Add up what a graph asks for; what is left out is as in what comes in, else usual, and rather more than less."""
    made: dict[str, _Batch] = {}
    pixels = steps = 0.0
    longest = 0
    for node in bound.nodes:
        ports = node.declaration.inputs
        before = _incoming(node, made, picture_size)
        count = _number(node, "count", 1)
        batch = before if count <= before.count else replace(before, count=count)
        if "width" in ports and "height" in ports:
            batch = _resized(node, batch)
            pixels += batch.pixels
        if "max_factor" in ports:
            largest, batch = _upscaled(node, batch)
            pixels += largest.pixels
        if "steps" in ports:
            steps += _number(node, "steps", 0) * batch.count
        made[node.id] = batch
        longest = max(longest, max(map(len, _texts(node)), default=0))
    return Needs(round(pixels), round(steps), longest)


def _marks(text: str) -> int:
    """Count what separates values in YAML."""
    return sum(map(text.count, (",", "\n", ":", "[", "{")))


def _values(tree: object) -> int:
    count = 0
    waiting = [tree]
    while waiting and count <= VALUES:
        value = waiting.pop()
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        count += 1
        waiting.extend(inside)
    return count


def _refusal(wrong: list[str]) -> Trouble:
    return Trouble(
        422,
        "The graph asks for more than is allowed.",
        kind=LIMIT,
        problems=[PlacedView(message=text) for text in wrong],
    )


def _incoming(node: BoundNode, made: Mapping[str, _Batch], picture_size: PictureSize) -> _Batch:
    """Return the largest picture of all that comes in, as many times as there are in the largest batch."""
    batches = [made[name] for name in _sources(node)]
    for name, binding in node.bindings.items():
        asset = node.declaration.inputs[name].asset
        if asset is not None and asset.kind == PICTURE and isinstance(binding, Literal):
            size = picture_size(str(binding.value))
            batches += [_Batch(*size)] if size is not None else []
    if not batches:
        return _USUAL
    if len(batches) == 1:
        return batches[0]
    largest = max(batches, key=lambda batch: batch.width * batch.height)
    return replace(largest, count=max(batch.count for batch in batches))


def _resized(node: BoundNode, batch: _Batch) -> _Batch:
    """Return what a node with `width` and `height` makes; a picture may lie on its side, so it may grow."""
    width, height = _number(node, "width", 0), _number(node, "height", 0)
    if "resize" in node.declaration.inputs and bool(width) != bool(height):
        ratio = max(batch.width / batch.height, batch.height / batch.width)
        width, height = width or height * ratio, height or width * ratio
    scale = _number(node, "scale", 1)
    return _Batch((width or batch.width) * scale, (height or batch.height) * scale, batch.count)


def _upscaled(node: BoundNode, batch: _Batch) -> tuple[_Batch, _Batch]:
    """Return the largest pictures that an upscaler may make, and what comes out: those, or another size of them."""
    factor = _number(node, "max_factor", 1)
    scale = _number(node, "scale", factor)
    most = max(factor, scale)
    largest = replace(batch, width=batch.width * most, height=batch.height * most)
    return largest, replace(batch, width=batch.width * scale, height=batch.height * scale)


def _number(node: BoundNode, port: str, otherwise: float) -> float:
    declared = node.declaration.inputs.get(port)
    binding = node.bindings.get(port)
    value = binding.value if isinstance(binding, Literal) else declared.default if declared is not None else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _sources(node: BoundNode) -> Iterator[str]:
    for binding in node.bindings.values():
        for part in _parts(binding):
            if isinstance(part, Reference):
                yield part.node


def _texts(node: BoundNode) -> Iterator[str]:
    for binding in node.bindings.values():
        for part in _parts(binding):
            if isinstance(part, Literal):
                values = part.value if isinstance(part.value, tuple) else (part.value,)
                yield from (value for value in values if isinstance(value, str))


def _parts(binding: Binding) -> tuple[Literal | Reference, ...]:
    return binding.items if isinstance(binding, Several) else (binding,)
