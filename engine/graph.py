"""A graph as it is written: nothing filled in, nothing looked up, every part with its place."""

from dataclasses import dataclass, field

from engine.errors import Problem
from engine.expression import Expression
from engine.source import Tree
from engine.values import Json
from engine.wires import FromInput, FromNode, Wire
from engine.words import Words, types_of


@dataclass(frozen=True, slots=True)
class GraphInput:
    """A declared input; `words` is its declaration in JSON Schema words, without the default."""

    name: str
    words: Words
    default: Json
    has_default: bool
    tree: Tree
    default_tree: Tree

    @property
    def types(self) -> tuple[str, ...]:
        """The types it may have; names in capitals are port types."""
        return types_of(self.words)


@dataclass(frozen=True, slots=True)
class When:
    """A condition and where it stands."""

    expression: Expression
    tree: Tree


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node as written: of a `type`, or another `graph` that is included here."""

    id: str
    type: str | None
    graph: str | None
    kind_tree: Tree
    when: When | None
    inputs: dict[str, Wire]
    otherwise: dict[str, Wire]
    tree: Tree
    """The node's id, as written."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph file, read and in order as far as one can tell without the node library."""

    file: str
    description: str
    inputs: dict[str, GraphInput]
    nodes: dict[str, GraphNode]
    outputs: dict[str, FromNode | FromInput]
    warnings: tuple[Problem, ...] = field(default=())
