"""From a bound graph to a plan: what must run, what is already there, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal as OneOf
from typing import Protocol, TypeVar

from engine.assets import Asset, Fetchable, Found
from engine.bound import Bound, BoundNode, Literal, Reference
from engine.canonical import Unkeyable
from engine.errors import AssetError
from engine.keys import node_key, references
from engine.lineage import provenance_digest
from engine.node import Output
from engine.problems import FEW
from engine.services import Services

Out = TypeVar("Out", bound=Output)

Status = OneOf["run", "memory", "disk", "unneeded", "twin"]
"""`run`: will be computed. `memory`, `disk`: the value is in hand. `unneeded`: nothing that runs asks for it.
`twin`: an earlier node has the same key and computes it for both."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a plan."""

    node: BoundNode
    key: str | None
    status: Status
    needs: tuple[str, ...]
    twin: str | None = None
    unkeyable: str = ""
    """Why the result cannot be cached, where that is not by declaration."""

    @property
    def id(self) -> str:
        """The node's id."""
        return self.node.id

    @property
    def type(self) -> str:
        """The node's type name."""
        return self.node.declaration.name


@dataclass(frozen=True, slots=True)
class Pending:
    """An asset that must be downloaded before the plan is complete."""

    node: BoundNode
    port: str
    fetchable: Fetchable


@dataclass(frozen=True)
class Plan:
    """A graph ready to run.

    `steps` are the nodes that the outputs depend on, in order. `held` has the outputs of every hit, read and verified:
    a hit is a value in hand, not a promise. While `pending` is not empty, keys below those nodes are unknown.
    """

    bound: Bound
    steps: tuple[Step, ...]
    held: Mapping[str, Output]
    found: Mapping[tuple[str, str], Found]
    pending: tuple[Pending, ...] = ()

    @property
    def to_run(self) -> tuple[Step, ...]:
        """The steps that will be computed."""
        return tuple(step for step in self.steps if step.status == "run")


class LookUp(Protocol):
    """Asks a cache for outputs, as `Cache.get` does."""

    def __call__(
        self, key: str, output_class: type[Out], *, stored: bool
    ) -> tuple[Out, OneOf["memory", "disk"]] | None:
        """Return the outputs of a key and where they were, or None."""
        ...


def make_plan(bound: Bound, services: Services, look_up: LookUp | None = None) -> Plan:
    """Plan a run: resolve assets, compute keys, look the cache up from the outputs backwards.

    The cache is asked through `look_up`, or as usual. Raises AssetError, with its place in the graph, where something
    the graph names cannot be used, and what `look_up` raises.
    """
    needs = {node.id: references(node) for node in bound.nodes}
    nodes = _needed(bound, needs)
    found, pending = _resolve(nodes, services)
    keys, unkeyable = _keys(bound, nodes, found, pending, services)
    statuses, held, twins = _look_up(bound, nodes, needs, keys, look_up or services.cache.get)
    steps = tuple(
        Step(
            node,
            key=keys[node.id],
            status=statuses.get(node.id, "unneeded"),
            needs=needs[node.id],
            twin=twins.get(node.id),
            unkeyable=unkeyable.get(node.id, ""),
        )
        for node in nodes
    )
    return Plan(bound, steps, held, found, pending)


def _needed(bound: Bound, needs: Mapping[str, tuple[str, ...]]) -> list[BoundNode]:
    wanted = {reference.node for reference in bound.outputs.values()}
    nodes: list[BoundNode] = []
    for node in reversed(bound.nodes):
        if node.id in wanted:
            wanted.update(needs[node.id])
            nodes.append(node)
    nodes.reverse()
    return nodes


def _resolve(nodes: list[BoundNode], services: Services) -> tuple[dict[tuple[str, str], Found], tuple[Pending, ...]]:
    found: dict[tuple[str, str], Found] = {}
    pending: list[Pending] = []
    wrong: list[AssetError] = []
    known: dict[Asset, Found | Fetchable | None] = {}
    for node in nodes:
        for name, asset in asset_names(node):
            if asset not in known and len(wrong) < FEW:
                try:
                    known[asset] = services.assets.find(asset)
                except AssetError as error:
                    known[asset] = None
                    wrong.append(placed(error, node, name))
            result = known.get(asset)
            if isinstance(result, Found):
                found[node.id, name] = result
            elif result is not None:
                pending.append(Pending(node, name, result))
    if wrong:
        raise _together(wrong)
    return found, tuple(pending)


def _together(wrong: list[AssetError]) -> AssetError:
    """Return one error of the first's kind that says all of them."""
    return wrong[0] if len(wrong) == 1 else type(wrong[0])("\n".join(map(str, wrong)))


def asset_names(node: BoundNode) -> list[tuple[str, Asset]]:
    """Return (port, asset) for every asset that a node names; an empty or null text names nothing."""
    named: list[tuple[str, Asset]] = []
    for name, port in node.declaration.asset_inputs:
        binding = node.bindings.get(name)
        text = binding.value if isinstance(binding, Literal) else port.default
        if port.asset is not None and isinstance(text, str) and text:
            named.append((name, Asset(port.asset.kind, text)))
    return named


def placed(error: AssetError, node: BoundNode, port: str) -> AssetError:
    """Return the same error, as its cause, with its place in the graph before the message."""
    binding = node.bindings.get(port)
    span = binding.span if isinstance(binding, Literal) and binding.span else node.span
    where = f"{span}: " if span else ""
    told = type(error)(f"{where}{node.id}.{port}: {error.message}", hint=error.hint)
    told.__cause__ = error
    return told


def _keys(
    bound: Bound,
    nodes: list[BoundNode],
    found: Mapping[tuple[str, str], Found],
    pending: tuple[Pending, ...],
    services: Services,
) -> tuple[dict[str, str | None], dict[str, str]]:
    contents = {place: asset.sha256 for place, asset in found.items()}
    unknown = {item.node.id for item in pending}
    keys: dict[str, str | None] = {}
    unkeyable: dict[str, str] = {}
    for node in nodes:
        keys[node.id] = None
        if node.id in unknown:
            continue
        try:
            told = provenance_digest(bound, node.id, found) if node.declaration.cls.writes_provenance else ""
            keys[node.id] = node_key(node, keys, contents, services.environment, told)
        except Unkeyable as reason:
            unkeyable[node.id] = str(reason)
    return keys, unkeyable


def _look_up(
    bound: Bound,
    nodes: list[BoundNode],
    needs: Mapping[str, tuple[str, ...]],
    keys: Mapping[str, str | None],
    look_up: LookUp,
) -> tuple[dict[str, Status], dict[str, Output], dict[str, str]]:
    first: dict[str, str] = {}
    for node in nodes:
        key = keys[node.id]
        if key is not None:
            first.setdefault(key, node.id)
    statuses: dict[str, Status] = {}
    held: dict[str, Output] = {}
    twins: dict[str, str] = {}
    wanted = {reference.node for reference in bound.outputs.values()}
    for node in reversed(nodes):
        if node.id not in wanted:
            continue
        key = keys[node.id]
        if key is not None and first[key] != node.id:
            statuses[node.id] = "twin"
            twins[node.id] = first[key]
            wanted.add(first[key])
            continue
        kind = node.declaration
        hit = None if key is None else look_up(key, kind.output_class, stored=kind.stored)
        if hit is None:
            statuses[node.id] = "run"
            wanted.update(needs[node.id])
        else:
            held[node.id], statuses[node.id] = hit
    return statuses, held, twins


def output_of(reference: Reference, values: Mapping[str, Output]) -> object:
    """Return the value at an output port."""
    return getattr(values[reference.node], reference.port)
