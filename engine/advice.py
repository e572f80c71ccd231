"""What is allowed in a graph file but rarely meant."""

import re
from collections.abc import Iterator

from engine.errors import Problem
from engine.expression import inputs_of
from engine.graph import Graph, GraphNode
from engine.problems import LISTED, Placed, Problems, shown
from engine.source import Tree
from engine.wires import FromInput, FromNode, Items, Plain, Wire

_TAIL = re.compile(r"[ \t]+#(.?)")


def warnings_about(graph: Graph) -> tuple[Problem, ...]:
    """Return warnings about one file: texts cut at ` #`, inputs nothing uses, nodes nothing needs."""
    found: list[Problem] = []
    for message, place in _all_warnings(graph):
        if len(found) >= LISTED:
            break
        problems = Problems()
        problems.add(message, place)
        found.extend(problems.found())
    return tuple(found)


def _all_warnings(graph: Graph) -> Iterator[tuple[str, Placed]]:
    for tree in _texts(graph):
        if _is_cut(tree):
            yield f"the text ends at {shown(str(tree.value)[-20:])}: what follows ` #` is a comment; quote it", tree
    used = {wire.name for wire in _wires(graph) if isinstance(wire, FromInput)}
    for node in graph.nodes.values():
        if node.when is not None:
            used.update(use.name for use in inputs_of(node.when.expression))
    for name, declared in graph.inputs.items():
        if name not in used:
            yield f"nothing uses the input {name}", declared.tree
    needed = _needed(graph)
    for name, node in graph.nodes.items():
        if name not in needed:
            yield f"no output needs {name}; it will not run", node.tree


def _texts(graph: Graph) -> Iterator[Tree]:
    for declared in graph.inputs.values():
        if isinstance(declared.default, str):
            yield declared.default_tree
    for node in graph.nodes.values():
        for wire in (*node.inputs.values(), *node.otherwise.values()):
            if isinstance(wire, Plain):
                yield from _strings(wire.tree)


def _strings(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree.value, str):
        yield tree
    for child in tree.children():
        yield from _strings(child)


def _is_cut(tree: Tree) -> bool:
    """Tell whether a comment follows that looks like the rest of a prompt: `1girl, solo #1 artist`."""
    text = tree.value
    if not tree.plain or not isinstance(text, str) or tree.length != len(text):
        return False
    tail = _TAIL.match(tree.source.lines[tree.line], tree.column + tree.length)
    if tail is None:
        return False
    return " " in text or "," in text or not tail[1].isspace()


def _wires(graph: Graph) -> Iterator[Wire]:
    for node in graph.nodes.values():
        yield from _wires_of(node)
    yield from graph.outputs.values()


def _wires_of(node: GraphNode) -> Iterator[Wire]:
    for wire in (*node.inputs.values(), *node.otherwise.values()):
        if isinstance(wire, Items):
            yield from wire.items
        else:
            yield wire


def _needed(graph: Graph) -> set[str]:
    waiting = [wire.node for wire in graph.outputs.values() if isinstance(wire, FromNode)]
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in needed or name not in graph.nodes:
            continue
        needed.add(name)
        waiting.extend(wire.node for wire in _wires_of(graph.nodes[name]) if isinstance(wire, FromNode))
    return needed
