"""Bound graphs written in a few words, and services without a disk."""

from collections.abc import Mapping
from pathlib import Path

from engine import Registry
from engine.bound import Binding, Bound, BoundNode, Literal, Reference, Several
from engine.cache import Cache
from engine.environment import Environment
from engine.events import AnyEvent
from engine.execute import Outcome, execute
from engine.memory import Memory
from engine.plan import Plan, make_plan
from engine.services import Cancel, Services
from engine.store import Store


def reference(text: str) -> Reference:
    """Return `$node.port` as a reference."""
    node, _, port = text[1:].rpartition(".")
    return Reference(node, port)


def binding(value: object) -> Binding:
    """Return `$node.port` as a reference, a list with references as several, anything else as a literal."""
    if isinstance(value, str) and value.startswith("$"):
        return reference(value)
    if isinstance(value, list):
        items = tuple(binding(item) for item in value)
        if any(isinstance(item, Reference) for item in items):
            return Several(tuple(item for item in items if isinstance(item, Literal | Reference)))
        return Literal(tuple(value))
    return Literal(value)


def graph(
    registry: Registry, nodes: Mapping[str, tuple[str, Mapping[str, object]]], outputs: Mapping[str, str]
) -> Bound:
    """Return a bound graph of nodes given in an order in which every node follows what it needs."""
    return Bound(
        nodes=tuple(
            BoundNode(name, registry[kind], {port: binding(value) for port, value in inputs.items()})
            for name, (kind, inputs) in nodes.items()
        ),
        outputs={name: reference(text) for name, text in outputs.items()},
    )


def services(folder: Path | None = None, *, environment: Environment | None = None) -> Services:
    """Return services with a memory cache, and a folder where one is given."""
    warnings: list[str] = []
    store = Store(folder, 1 << 30, warnings.append) if folder is not None else None
    return Services(cache=Cache(Memory(1 << 30), store, warnings.append), environment=environment or Environment())


class Run:
    """A run and what it said."""

    def __init__(self, bound: Bound, within: Services, *, cancel: Cancel | None = None) -> None:
        self.events: list[AnyEvent] = []
        self.plan: Plan = make_plan(bound, within)
        self.outcome: Outcome = execute(self.plan, within, on_event=self.events.append, cancel=cancel)

    @property
    def outputs(self) -> dict[str, object]:
        """The outputs by name."""
        return self.outcome.outputs

    @property
    def ran(self) -> set[str]:
        """The ids of the nodes that ran."""
        return set(self.outcome.took)
