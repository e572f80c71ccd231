"""From the tree of a graph file to a Graph: the keys, the names and the shapes are checked, all problems at once."""

from collections.abc import Collection
from typing import Final

from engine.advice import warnings_about
from engine.condition import read_expression
from engine.expression import WrongExpression
from engine.graph import Graph, GraphNode, When
from engine.inputs import read_inputs
from engine.problems import Problems, shown
from engine.reading import Readable, read
from engine.source import Tree
from engine.wires import NAME, NODE_ID, FromInput, FromNode, Wire, read_wire

FORMAT: Final = 1
"""The version of the format, written `nova: 1`."""

KEYS: Final = ("nova", "description", "inputs", "nodes", "outputs")
NODE_KEYS: Final = ("type", "graph", "when", "inputs", "else")
MAX_NODES: Final = 20_000
"""Nodes in one graph, those of its includes counted."""


def parse(given: Readable, file: str = "graph") -> Graph:
    """Read a graph from YAML, JSON text, or parsed JSON; raises GraphErrors with everything that is wrong.

    `file` is the name that messages and includes use.
    """
    tree = read(given, file)
    problems = Problems()
    reader = _Reader(problems)
    graph = reader.graph(tree, file)
    problems.check()
    return graph


class _Reader:
    """Reads the sections of a graph; what is wrong is noted and left out."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def graph(self, tree: Tree, file: str) -> Graph:
        sections = self.mapping(tree, "a graph", "`nova: 1`, `nodes:` and `outputs:`")
        self.check_keys(sections, KEYS, "a graph")
        self.check_format(tree, sections)
        for key in ("nodes", "outputs"):
            if key not in sections and (tree.value == {} or sections):
                self.problems.add(f"a graph needs `{key}:`", tree)
        inputs = read_inputs(self.section(sections, "inputs"), self.problems)
        nodes = self.nodes(self.section(sections, "nodes"))
        outputs = self.outputs(self.section(sections, "outputs"))
        description = self.description(sections)
        graph = Graph(file, description, inputs, nodes, outputs)
        if self.problems:
            return graph
        return Graph(file, description, inputs, nodes, outputs, warnings_about(graph))

    def check_format(self, tree: Tree, sections: dict[str, Tree]) -> None:
        written = sections.get("nova")
        if written is None:
            if isinstance(tree.value, dict):
                self.problems.add("a graph begins with `nova: 1`, the version of its format", tree)
        elif type(written.value) is not int or written.value != FORMAT:
            said = shown(written.plainly())
            self.problems.add(f"this program reads format 1, written `nova: 1`; this graph says {said}", written)

    def description(self, sections: dict[str, Tree]) -> str:
        written = sections.get("description")
        if written is None:
            return ""
        if not isinstance(written.value, str):
            self.problems.add(f"description must be text, got {shown(written.plainly())}", written)
            return ""
        return written.value

    def section(self, sections: dict[str, Tree], key: str) -> dict[str, Tree]:
        if key not in sections:
            return {}
        found = self.mapping(sections[key], key, "`name: ...` lines")
        if key in ("nodes", "outputs") and sections[key].value == {}:
            self.problems.add(f"{key} must not be empty", sections[key])
        return found

    def mapping(self, tree: Tree, what: str, of: str) -> dict[str, Tree]:
        if isinstance(tree.value, dict):
            return tree.value
        self.problems.add(f"{what} must be a mapping of {of}, got {shown(tree.plainly())}", tree)
        return {}

    def check_keys(self, found: dict[str, Tree], known: Collection[str], what: str) -> None:
        for key, child in found.items():
            if key not in known:
                self.problems.unknown(f"{what} has no key", key, known, child.name)

    def nodes(self, section: dict[str, Tree]) -> dict[str, GraphNode]:
        nodes: dict[str, GraphNode] = {}
        if len(section) > MAX_NODES:
            self.problems.add(f"a graph may have {MAX_NODES} nodes, this one has {len(section)}")
            return nodes
        for name, tree in section.items():
            if name == "inputs":
                self.problems.add("a node cannot be called inputs: $inputs.name means a graph input", tree.name)
                continue
            if not NODE_ID.fullmatch(name):
                self.problems.add(
                    f"{shown(name)} cannot be a node's id: use letters, digits, _ and - (at most 64)", tree.name
                )
                continue
            node = self.node(name, tree)
            if node is not None:
                nodes[name] = node
        return nodes

    def node(self, name: str, tree: Tree) -> GraphNode | None:
        parts = self.mapping(tree, name, "`type:` and `inputs:`")
        self.check_keys(parts, NODE_KEYS, "a node")
        kinds = [key for key in ("type", "graph") if key in parts]
        if len(kinds) != 1:
            if isinstance(tree.value, dict):
                wrong = "both `type:` and `graph:`; keep one" if kinds else "neither `type:` nor `graph:`"
                self.problems.add(f"{name} has {wrong}", tree.name)
            return None
        kind = parts[kinds[0]]
        if not isinstance(kind.value, str) or not kind.value:
            self.problems.add(f"{name}.{kinds[0]} must be a name, got {shown(kind.plainly())}", kind)
            return None
        when = self.when(name, parts["when"]) if "when" in parts else None
        if "else" in parts and "when" not in parts:
            self.problems.add(f"{name} has `else:` but no `when:`", parts["else"].name)
        inputs = self.wires(f"{name}.inputs", parts.get("inputs"))
        otherwise = self.wires(f"{name}.else", parts.get("else"))
        type_name, graph = (kind.value, None) if kinds == ["type"] else (None, kind.value)
        return GraphNode(name, type_name, graph, kind, when, inputs, otherwise, tree.name)

    def wires(self, what: str, tree: Tree | None) -> dict[str, Wire]:
        if tree is None:
            return {}
        wires: dict[str, Wire] = {}
        for port, child in self.mapping(tree, what, "`port: value`").items():
            wire = read_wire(child, self.problems)
            if wire is not None:
                wires[port] = wire
        return wires

    def when(self, name: str, tree: Tree) -> When | None:
        text = str(tree.value).lower() if isinstance(tree.value, bool) else tree.value
        if not isinstance(text, str):
            self.problems.add(f"{name}.when must be a condition such as `$inputs.scale > 0`", tree)
            return None
        try:
            return When(read_expression(text), tree)
        except WrongExpression as wrong:
            self.problems.add(f"{name}.when: {wrong}", inside(tree, wrong))
            return None

    def outputs(self, section: dict[str, Tree]) -> dict[str, FromNode | FromInput]:
        outputs: dict[str, FromNode | FromInput] = {}
        for name, tree in section.items():
            if not NAME.fullmatch(name):
                self.problems.add(f"{shown(name)} cannot be an output's name: use letters, digits and _", tree.name)
                continue
            wire = read_wire(tree, self.problems)
            if isinstance(wire, FromNode | FromInput):
                outputs[name] = wire
            elif wire is not None:
                self.problems.add(f"output {name} must be a reference such as $node.port", tree)
        return outputs


def inside(tree: Tree, wrong: WrongExpression) -> Tree:
    """Return the place of a part of a condition, where the text stands on one line as it is."""
    if tree.line < 0 or not tree.plain or not isinstance(tree.value, str) or tree.length != len(tree.value):
        return tree
    length = min(wrong.length, max(1, tree.length - wrong.column))
    return Tree(tree.source, tree.value, tree.line, tree.column + wrong.column, length)
