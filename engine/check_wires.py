"""One wire checked: whether what is written fits where it leads."""

from typing import Any

from engine.bound import Literal
from engine.declaration import type_name
from engine.expand import Flat, FlatInclude, FlatNode, Scope
from engine.literals import Unfit, fit_literal, place_of
from engine.narrow import misfits, unfitting
from engine.problems import Problems, nearest_name
from engine.targets import InputKey, Target, Types
from engine.tuples import as_json, as_tuples
from engine.wires import FromInput, FromNode, Items, Plain, Wire
from engine.words import LITERAL_TYPES, Refused, settle

Owner = FlatNode | FlatInclude


class WireChecker:
    """Checks wires; keeps the literals as their targets want them, and which targets each graph input feeds."""

    def __init__(self, flat: Flat, types: Types, problems: Problems) -> None:
        self.flat = flat
        self.types = types
        self.problems = problems
        self.literals: dict[int, Literal] = {}
        self.feeds: dict[InputKey, list[Target]] = {}

    def check(self, wire: Wire, target: Target, owner: Owner) -> None:
        """Check a wire of a node or include."""
        if isinstance(wire, Plain):
            self._literal(wire, target)
        elif isinstance(wire, Items):
            self._items(wire, target, owner)
        elif isinstance(wire, FromNode):
            self._reference(wire, target, owner.scope)
        else:
            self._input(wire, target, owner.scope)

    def _literal(self, wire: Plain, target: Target) -> None:
        try:
            if target.words is not None:
                value = as_tuples(settle(target.words, as_json(wire.value)))
            else:
                value = fit_literal(target.port, wire.value, self.problems)
            self.literals[id(wire)] = Literal(value, None, wire.tree.span)
        except Refused as refused:
            self.problems.add(f"{target.name} {refused}", wire.tree)
        except Unfit as unfit:
            self.problems.add(f"{target.name} {unfit}", place_of(wire.tree, unfit.where))

    def _items(self, wire: Items, target: Target, owner: Owner) -> None:
        if target.port.item is None:
            self.problems.add(f"{target.name} takes {type_name(target.port.annotation)}, not a list", wire.tree)
            return
        port = self.types.item(target.port)
        words = target.words.get("items") if target.words is not None else None
        for index, item in enumerate(wire.items):
            name = f"{target.name} item {index + 1}"
            self.check(item, Target(name, port, words if isinstance(words, dict) else None), owner)

    def _reference(self, wire: FromNode, target: Target, scope: Scope) -> None:
        annotation = self.annotation_of(wire, scope)
        if annotation is None:
            return
        if target.port.asset is not None:
            self.problems.add(
                f"{target.name} names something outside the graph, which must be known before the run: "
                f"write it here or use a graph input, not the output of a node",
                wire.tree,
            )
        elif not target.port.accepts(annotation):
            takes, gives = type_name(target.port.annotation), type_name(annotation)
            listed = target.port.item is not None and self.types.item(target.port).accepts(annotation)
            hint = f"; write it as a list: [${wire.node}.{wire.port}]" if listed else ""
            self.problems.add(f"{target.name} takes {takes}, but {wire.node}.{wire.port} is {gives}{hint}", wire.tree)

    def annotation_of(self, wire: FromNode, scope: Scope) -> Any | None:
        """Return the type of an output; None, with a problem noted, where there is no such thing."""
        node_id = scope.id_of(wire.node)
        node = self.flat.nodes.get(node_id)
        if node is not None:
            output = node.declaration.outputs.get(wire.port)
            if output is not None:
                return output.annotation
            outputs = node.declaration.outputs
            self.problems.unknown(f"{node.declaration.name} has no output", wire.port, outputs, wire.tree)
            return None
        include = self.flat.includes.get(node_id)
        if include is not None:
            return self._annotation_inside(include, wire)
        if wire.port in scope.graph.inputs and nearest_name(wire.node, ["inputs"]):
            self.problems.add(f'there is no node "{wire.node}"; did you mean "$inputs.{wire.port}"?', wire.tree)
        elif node_id not in self.flat.broken:
            self.problems.unknown("there is no node", wire.node, scope.graph.nodes, wire.tree)
        return None

    def _annotation_inside(self, include: FlatInclude, wire: FromNode) -> Any | None:
        graph = include.inner.graph
        inner = graph.outputs.get(wire.port)
        if inner is None:
            self.problems.unknown(f"{graph.file} has no output", wire.port, graph.outputs, wire.tree)
            return None
        if isinstance(inner, FromNode):
            return self.annotation_of(inner, include.inner)
        declared = graph.inputs.get(inner.name)
        return None if declared is None else self.types.annotation(declared.words)

    def _input(self, wire: FromInput, target: Target, scope: Scope) -> None:
        declared = scope.graph.inputs.get(wire.name)
        if declared is None:
            self.problems.unknown("there is no graph input", wire.name, scope.graph.inputs, wire.tree)
        elif self.types.unknown(declared.words):
            return
        elif set(declared.types) <= set(LITERAL_TYPES):
            options = self.types.options(target)
            if not options:
                takes = type_name(target.port.annotation)
                self.problems.add(f"{target.name} takes {takes}, but the input {wire.name} is a literal", wire.tree)
            elif misfits(declared.words, options):
                self.problems.add(f"{target.name}: {unfitting(wire.name, declared.words, options)}", wire.tree)
            else:
                self.feeds.setdefault((scope.prefix, wire.name), []).append(target)
        else:
            annotation = self.types.annotation(declared.words)
            if not target.port.accepts(annotation):
                takes, gives = type_name(target.port.annotation), type_name(annotation)
                self.problems.add(f"{target.name} takes {takes}, but the input {wire.name} is {gives}", wire.tree)
