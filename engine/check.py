"""What can be checked before any input has a value: names, types, literals, conditions, bounds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from engine.bound import Literal
from engine.check_wires import Owner, WireChecker
from engine.declaration import type_name
from engine.expand import Flat, FlatInclude, FlatNode, Scope
from engine.expression import Kinds, WrongExpression, check_kinds, inputs_of
from engine.graph import GraphInput, When
from engine.narrow import input_options, is_empty, tightened, widened
from engine.parse import inside
from engine.problems import CUT, Problems
from engine.targets import InputKey, Target, Types, as_port
from engine.wires import FromNode, Wire
from engine.words import LITERAL_TYPES, Refused, Words, settle

_KINDS = {"integer": "number", "seed": "number", "number": "number"}


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking found out.

    `literals`, by the identity of the wire, are as their ports want them; `words` are the declarations of inputs with
    the bounds of the ports they feed.
    """

    literals: dict[int, Literal]
    words: dict[InputKey, Words]


def check_flat(flat: Flat, types: Types, problems: Problems) -> Checked:
    """Check everything that does not depend on the values of a run; problems are noted."""
    checker = _Checker(flat, types, problems)
    checker.check()
    return Checked(checker.wires.literals, checker.words)


class _Checker:
    def __init__(self, flat: Flat, types: Types, problems: Problems) -> None:
        self.flat = flat
        self.types = types
        self.problems = problems
        self.wires = WireChecker(flat, types, problems)
        self.words: dict[InputKey, Words] = {}
        self.narrowed: dict[tuple[int, str], Words] = {}

    def check(self) -> None:
        """Check each file once, however often it is included: nothing here depends on where it is used."""
        first = {id(scope.graph): scope for scope in reversed(self.flat.scopes)}
        once = set(map(id, first.values()))
        for scope in self.flat.scopes:
            if id(scope) in once:
                self.declared(scope)
        for member in self.flat.members():
            if id(member.scope) in once:
                self.member(member)
        for scope in self.flat.scopes:
            if id(scope) in once:
                self.outputs(scope)
        for scope in reversed(self.flat.scopes):
            for declared in scope.graph.inputs.values():
                key = (id(scope.graph), declared.name)
                if key not in self.narrowed:
                    self.narrowed[key] = self.narrow(first[id(scope.graph)], declared)
                self.words[scope.prefix, declared.name] = self.narrowed[key]

    def member(self, member: Owner) -> None:
        if isinstance(member, FlatNode):
            self.node(member)
        else:
            self.include(member)
        if member.written.when is not None:
            self.when(member.written.when, member)
        self.otherwise(member)

    def declared(self, scope: Scope) -> None:
        for declared in scope.graph.inputs.values():
            for name in self.types.unknown(declared.words):
                known = [*LITERAL_TYPES, *self.types.values]
                self.problems.unknown(f"the input {declared.name} has an unknown type", name, known, declared.tree)

    def node(self, node: FlatNode) -> None:
        inputs, written = node.declaration.inputs, node.written.inputs
        for name, wire in written.items():
            if name in inputs:
                self.wires.check(wire, Target(f"{node.written.id}.{name}", inputs[name]), node)
        meant = self.unknown_inputs(node.declaration.name, written, inputs)
        for name, port in inputs.items():
            if port.required and name not in written and name not in meant:
                needed = f'{node.written.id} needs an input "{name}" ({type_name(port.annotation)})'
                self.problems.add(needed, node.written.tree)

    def include(self, include: FlatInclude) -> None:
        declared, written = include.inner.graph.inputs, include.written.inputs
        for name, wire in written.items():
            if name in declared and not self.types.unknown(declared[name].words):
                self.wires.check(wire, self.input_target(include, declared[name]), include)
        meant = self.unknown_inputs(include.inner.graph.file, written, declared)
        for name, given in declared.items():
            if not given.has_default and name not in written and name not in meant:
                needed = f'{include.written.id} needs an input "{name}" ({" or ".join(given.types)})'
                self.problems.add(needed, include.written.tree)

    def unknown_inputs(self, title: str, written: Mapping[str, Wire], known: Collection[str]) -> set[str]:
        """Complain of inputs that do not exist; returns those that were probably meant."""
        strange = [(name, wire) for name, wire in written.items() if name not in known]
        return {
            self.problems.unknown(
                f"{title} has no input", name, known, wire.tree.name, advice=CUT if wire.tree.is_left_out else ""
            )
            for name, wire in strange
        }

    def input_target(self, include: FlatInclude, declared: GraphInput) -> Target:
        port = as_port(declared.name, self.types.annotation(declared.words))
        words = declared.words if set(declared.types) <= set(LITERAL_TYPES) else None
        name = f"{include.written.id}.{declared.name}"
        return Target(name, port, words, include.inner.graph)

    def when(self, when: When, member: Owner) -> None:
        declared = member.scope.graph.inputs
        known = True
        for use in inputs_of(when.expression):
            if use.name not in declared:
                known = False
                place = inside(when.tree, WrongExpression("", use.column, len(use.name) + len("$inputs.")))
                self.problems.unknown("there is no graph input", use.name, declared, place)
        if not known:
            return
        try:
            kinds = check_kinds(when.expression, lambda name: _kinds(declared[name]))
        except WrongExpression as wrong:
            self.problems.add(f"{member.written.id}.when: {wrong}", inside(when.tree, wrong))
            return
        if kinds != {"boolean"}:
            self.problems.add(f"{member.written.id}.when must come to true or false; compare it", when.tree)

    def otherwise(self, member: Owner) -> None:
        inner = isinstance(member, FlatInclude)
        outputs = member.inner.graph.outputs if isinstance(member, FlatInclude) else member.declaration.outputs
        title = member.inner.graph.file if isinstance(member, FlatInclude) else member.declaration.name
        for name, wire in member.written.otherwise.items():
            if name not in outputs:
                self.problems.unknown(f"{title} has no output", name, outputs, wire.tree.name)
                continue
            reference = FromNode(member.written.id, name, wire.tree)
            annotation = self.wires.annotation_of(reference, member.scope)
            if annotation is not None or not inner:
                target = Target(f"{member.written.id}.else.{name}", as_port(name, annotation))
                self.wires.check(wire, target, member)

    def outputs(self, scope: Scope) -> None:
        for wire in scope.graph.outputs.values():
            if isinstance(wire, FromNode):
                self.wires.annotation_of(wire, scope)
            elif wire.name not in scope.graph.inputs:
                self.problems.unknown("there is no graph input", wire.name, scope.graph.inputs, wire.tree)

    def narrow(self, scope: Scope, declared: GraphInput) -> Words:
        """Return an input's words with the bounds of the ports it feeds; note where it allows more than they do."""
        words = declared.words
        before = len(self.problems)
        seen: set[tuple[int, str]] = set()
        for target in self.wires.feeds.get((scope.prefix, declared.name), ()):
            key = (id(target.inner_graph or target.port), target.port.name)
            if key in seen:
                continue
            seen.add(key)
            inner = target.inner_graph
            options = self.types.options(target)
            if inner is not None:
                options = input_options(self.narrowed.get((id(inner), target.port.name), target.words or {}))
            for fault in widened(declared.words, options):
                message = f"the input {declared.name} allows more than {target.name} does: {fault}"
                self.problems.add(message, declared.tree)
            words = tightened(words, options)
        if len(self.problems) == before and is_empty(words):
            self.problems.add(f"no value of {declared.name} suits everything it feeds", declared.tree)
        elif len(self.problems) == before and declared.has_default and set(declared.types) <= set(LITERAL_TYPES):
            try:
                settle(words, declared.default)
            except Refused as refused:
                self.problems.add(f"{declared.name} {refused}", declared.default_tree)
        return words


def _kinds(declared: GraphInput) -> Kinds:
    return frozenset(_KINDS.get(name, name) for name in declared.types)
