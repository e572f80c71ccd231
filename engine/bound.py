"""A graph with all settled that can be settled without running: inputs filled, includes expanded, types checked."""

from dataclasses import dataclass, field

from engine.declaration import Declaration
from engine.errors import Span
from engine.values import Json


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the file, validated for its port; `origin` names the graph input it came through."""

    value: object
    origin: str | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """The output `port` of the node `node`."""

    node: str
    port: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Several:
    """A list that holds at least one reference."""

    items: tuple[Literal | Reference, ...]


Binding = Literal | Reference | Several


@dataclass(frozen=True, slots=True)
class BoundNode:
    """A node with every written input settled; inputs left out keep their defaults and are absent."""

    id: str
    declaration: Declaration
    bindings: dict[str, Binding]
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class BoundInput:
    """A graph input and the value of this run; `schema` is its declaration in JSON Schema words."""

    name: str
    schema: dict[str, Json]
    value: Json


@dataclass(frozen=True, slots=True)
class Bound:
    """The settled graph: `nodes` in an order in which every node follows what it needs."""

    nodes: tuple[BoundNode, ...]
    outputs: dict[str, Reference]
    inputs: dict[str, BoundInput] = field(default_factory=dict)
    description: str = ""
    file: str = ""
