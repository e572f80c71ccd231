"""Includes written out: one flat set of nodes, each in the scope of the file it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.declaration import Declaration
from engine.errors import GraphErrors
from engine.graph import Graph, GraphNode
from engine.openers import CannotOpen, Opener
from engine.parse import MAX_NODES, parse
from engine.problems import Problems
from engine.registry import Registry

MAX_INCLUDES = 16
"""Files may include one another this deep."""


@dataclass(eq=False, slots=True)
class Scope:
    """One use of a graph file: the top one, or an include."""

    graph: Graph
    prefix: str = ""
    outer: "Scope | None" = None
    include: "FlatInclude | None" = None

    def id_of(self, local: str) -> str:
        """Return the id in the whole graph of a node in this file."""
        return self.prefix + local

    def chain(self) -> list[str]:
        """Return the files from the top one to this."""
        files: list[str] = []
        scope: Scope | None = self
        while scope is not None:
            files.append(scope.graph.file)
            scope = scope.outer
        return files[::-1]


@dataclass(eq=False, slots=True)
class FlatNode:
    """A node of a type."""

    id: str
    written: GraphNode
    scope: Scope
    declaration: Declaration


@dataclass(eq=False, slots=True)
class FlatInclude:
    """A node that stands for another graph."""

    id: str
    written: GraphNode
    scope: Scope
    inner: Scope


@dataclass(eq=False, slots=True)
class Flat:
    """Everything, by its id in the whole graph and in written order; scopes from the outside in."""

    scopes: list[Scope]
    nodes: dict[str, FlatNode] = field(default_factory=dict)
    includes: dict[str, FlatInclude] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    """Ids of nodes that are there but could not be understood."""

    @property
    def top(self) -> Scope:
        """The scope of the graph that was given."""
        return self.scopes[0]

    def members(self) -> "Iterator[FlatNode | FlatInclude]":
        """Iterate over all nodes and includes."""
        yield from self.nodes.values()
        yield from self.includes.values()


def expand(graph: Graph, registry: Registry, opener: Opener, problems: Problems) -> Flat:
    """Open and read all includes; problems are noted, and what cannot be understood is left out.

    Raises GraphErrors where there is no end to the nodes.
    """
    expansion = _Expansion(registry, opener, problems, Flat([Scope(graph)]))
    expansion.enter(expansion.flat.top)
    return expansion.flat


@dataclass(slots=True)
class _Expansion:
    registry: Registry
    opener: Opener
    problems: Problems
    flat: Flat
    read: dict[tuple[str, str], Graph | None] = field(default_factory=dict)

    def enter(self, scope: Scope) -> None:
        """Take over the nodes of a file; recursion is as deep as the includes, which are bounded."""
        for written in scope.graph.nodes.values():
            if len(self.flat.nodes) + len(self.flat.includes) >= MAX_NODES:
                self.problems.add(f"with its includes this graph has more than {MAX_NODES} nodes", written.tree)
                self.problems.check()
            node_id = scope.id_of(written.id)
            if node_id in self.flat.nodes or node_id in self.flat.includes:
                self.problems.add(f"two nodes come to have the id {node_id}; rename one", written.tree)
            elif written.type is not None:
                self.node(node_id, written, scope)
            else:
                self.include(node_id, written, scope)

    def node(self, node_id: str, written: GraphNode, scope: Scope) -> None:
        type_name = written.type or ""
        declaration = self.registry.get(type_name)
        if declaration is None:
            self.problems.unknown("there is no node type", type_name, self.registry, written.kind_tree)
            self.flat.broken.add(node_id)
            return
        self.flat.nodes[node_id] = FlatNode(node_id, written, scope, declaration)

    def include(self, node_id: str, written: GraphNode, scope: Scope) -> None:
        graph = self.open(written, scope)
        if graph is None:
            self.flat.broken.add(node_id)
            return
        inner = Scope(graph, f"{node_id}/", scope)
        include = FlatInclude(node_id, written, scope, inner)
        inner.include = include
        self.flat.includes[node_id] = include
        self.flat.scopes.append(inner)
        self.enter(inner)

    def open(self, written: GraphNode, scope: Scope) -> Graph | None:
        name = written.graph or ""
        chain = scope.chain()
        if len(chain) > MAX_INCLUDES:
            self.problems.add(f"graphs include one another more than {MAX_INCLUDES} deep", written.kind_tree)
            return None
        key = (scope.graph.file, name)
        if key not in self.read:
            self.read[key] = self.parse(name, scope, written)
        graph = self.read[key]
        if graph is not None and graph.file in chain:
            circle = " -> ".join([*chain[chain.index(graph.file) :], graph.file])
            self.problems.add(f"this graph includes itself: {circle}", written.kind_tree)
            return None
        return graph

    def parse(self, name: str, scope: Scope, written: GraphNode) -> Graph | None:
        try:
            opened = self.opener(name, scope.graph.file)
            return parse(opened.content, opened.file)
        except CannotOpen as error:
            self.problems.add(str(error), written.kind_tree)
        except GraphErrors as errors:
            for problem in errors.problems:
                self.problems.take(problem)
        return None
