"""Values put in: conditions decided, wires followed, and every node's inputs settled."""

from collections.abc import Mapping
from random import Random

from engine.bound import Binding, BoundInput, BoundNode, Literal, Reference, Several
from engine.check import Checked
from engine.declaration import InputPort, type_name
from engine.errors import GraphErrors, Problem, Span
from engine.expand import Flat, FlatNode, Scope
from engine.expression import WrongExpression, evaluate, inputs_of
from engine.follow import Absent, Follower, Found, Wrong, came_from, draw_seed
from engine.graph import GraphInput, When
from engine.literals import Unfit, fit_literal
from engine.narrow import widened
from engine.parse import inside
from engine.problems import Problems
from engine.source import plant
from engine.targets import Target, Types
from engine.tuples import as_json, as_tuples
from engine.values import Json
from engine.wires import FromInput, FromNode, Plain, Wire
from engine.words import LITERAL_TYPES, RANDOM, Refused, Words, settle


def fill_inputs(
    flat: Flat, checked: Checked, values: Mapping[str, Json], problems: Problems, rng: Random
) -> tuple[dict[str, BoundInput], dict[str, Found]]:
    """Give every input of the top graph its value for this run; problems are noted."""
    declared = flat.top.graph.inputs
    bound: dict[str, BoundInput] = {}
    found: dict[str, Found] = {}
    for name in values:
        if name not in declared:
            problems.unknown("there is no input", name, declared)
    for name, given in declared.items():
        words = checked.words[flat.top.prefix, name]
        found[name] = _fill(given, words, values, problems, rng)
        literal = found[name]
        if isinstance(literal, Literal) and _is_literal(given):
            bound[name] = BoundInput(name, dict(given.words), as_json(literal.value))
    return bound, found


def _fill(given: GraphInput, words: Words, values: Mapping[str, Json], problems: Problems, rng: Random) -> Found:
    name = given.name
    if not _is_literal(given):
        if name in values:
            problems.add(f"{name} is {_types(given)}, which cannot be given as a value")
        elif given.has_default:
            return Literal(None, name, given.default_tree.span)
        else:
            problems.add(f"{name} is {_types(given)}: this graph is for inclusion in others", given.tree)
        return Wrong()
    if name not in values and not given.has_default:
        flag = name.replace("_", "-")
        problems.add(f"the graph needs a value for {name}: an input such as --{flag} on a command line", given.tree)
        return Wrong()
    span = None if name in values else given.default_tree.span
    try:
        value = settle(words, _plain(values[name]) if name in values else given.default)
    except Refused as refused:
        problems.take(Problem(f"{name} {refused}", span))
        return Wrong()
    if value == RANDOM and given.types == ("seed",):
        value = draw_seed(words, rng)
    return Literal(as_tuples(value), name, span)


def _types(given: GraphInput) -> str:
    return " or ".join(given.types)


def _is_literal(given: GraphInput) -> bool:
    return set(given.types) <= set(LITERAL_TYPES)


class Settler:
    """Settles a flat graph that has been checked."""

    def __init__(self, flat: Flat, checked: Checked, types: Types, follower: Follower, problems: Problems) -> None:
        self.flat = flat
        self.checked = checked
        self.types = types
        self.follower = follower
        self.problems = problems
        self._narrowed: set[tuple[str, int]] = set()

    def settle(self) -> list[BoundNode]:
        """Return the nodes that are on, in written order, every input settled; raises GraphErrors for conditions."""
        for scope in self.flat.scopes:
            self.switch(scope)
        self.problems.check()  # with a condition undecided, the rest would only be noise
        nodes: list[BoundNode] = []
        for node in self.flat.nodes.values():
            if node.id not in self.follower.off:
                nodes.append(BoundNode(node.id, node.declaration, self.bindings(node), node.written.tree.span))
        return nodes

    def switch(self, scope: Scope) -> None:
        """Decide which nodes of a file are off; all are where the file's include is."""
        all_off = scope.include is not None and scope.include.id in self.follower.off
        for local, written in scope.graph.nodes.items():
            if all_off or (written.when is not None and not self.decide(written.when, local, scope)):
                self.follower.off.add(scope.id_of(local))

    def decide(self, when: When, local: str, scope: Scope) -> bool:
        """Tell whether a node is on."""
        values: dict[str, Json] = {}
        for use in inputs_of(when.expression):
            wire = FromInput(use.name, when.tree)
            source = _source(wire, scope)
            if source is not None:
                self.problems.add(
                    f"{scope.id_of(local)}.when uses the input {use.name}, which another node computes; "
                    f"conditions must be known before the run",
                    when.tree,
                )
                return False
            found = self.follower.follow(wire, scope)
            if not isinstance(found, Literal):
                return False
            values[use.name] = as_json(found.value)
        try:
            return bool(evaluate(when.expression, values))
        except WrongExpression as wrong:
            self.problems.add(f"{scope.id_of(local)}.when: {wrong}", inside(when.tree, wrong))
            return False

    def bindings(self, node: FlatNode) -> dict[str, Binding]:
        """Return a node's inputs, settled; what is left out is absent."""
        settled: dict[str, Binding] = {}
        for name, wire in node.written.inputs.items():
            port = node.declaration.inputs[name]
            if isinstance(wire, Plain):
                settled[name] = self.checked.literals[id(wire)]
                continue
            if isinstance(wire, FromNode) and (reference := self.direct(wire, port, node.scope)):
                settled[name] = reference
                continue
            binding = self.binding(node, port, wire)
            if binding is not None:
                settled[name] = binding
        return settled

    def direct(self, wire: FromNode, port: InputPort, scope: Scope) -> Reference | None:
        """Return the reference to a node that is on; None where the wire must be followed."""
        node_id = scope.id_of(wire.node)
        if node_id not in self.flat.nodes or node_id in self.follower.off or port.asset is not None:
            return None
        return Reference(node_id, wire.port, wire.tree.span)

    def binding(self, node: FlatNode, port: InputPort, wire: Wire) -> Binding | None:
        """Return what a wire comes to; None where the port keeps its default, or something is wrong."""
        found = self.follower.follow(wire, node.scope)
        name = f"{node.id}.{port.name}"
        if isinstance(found, Wrong):
            return None
        if isinstance(found, Absent):
            if port.required:
                self.problems.add(missing(name, type_name(port.annotation), found), wire.tree)
            return None
        if isinstance(found, Literal):
            return self.literal(name, port, found)
        if port.asset is not None:
            self.problems.add(
                f"{name} names something outside the graph, which must be known before the run, "
                f"but it comes from another node",
                wire.tree,
            )
            return None
        if isinstance(found, Several):
            return self.several(name, port, found, wire.tree.span)
        return Reference(found.node, found.port, wire.tree.span)

    def literal(self, name: str, port: InputPort, found: Literal) -> Literal | None:
        """Return a literal as the port wants it."""
        try:
            value = fit_literal(port, found.value, self.problems)
        except Unfit as unfit:
            self.problems.take(Problem(f"{name} {unfit}{came_from(found)}", found.span))
            return None
        if found.origin is not None and (found.origin, id(port)) not in self._narrowed:
            self._narrowed.add((found.origin, id(port)))
            self.narrow(name, port, self.flat.top.graph.inputs[found.origin])
        return Literal(value, found.origin, found.span)

    def narrow(self, name: str, port: InputPort, declared: GraphInput) -> None:
        """Check the bounds of an input that reaches a port by a detour, such as the stand-in of a skipped node."""
        for fault in widened(declared.words, self.types.options(Target(name, port))):
            message = f"the input {declared.name} allows more than {name} does: {fault}"
            self.problems.add(message, declared.tree)

    def several(self, name: str, port: InputPort, found: Several, span: Span | None) -> Several | None:
        """Return a list with every literal as the port wants it."""
        item_port = self.types.item(port)
        items: list[Literal | Reference] = []
        for index, item in enumerate(found.items):
            fitted = self.literal(f"{name} item {index + 1}", item_port, item) if isinstance(item, Literal) else item
            if fitted is not None:
                items.append(fitted)
        for mark in port.field.metadata:
            least, most = getattr(mark, "min_length", None), getattr(mark, "max_length", None)
            if least is not None and len(items) < least:
                self.problems.take(Problem(f"{name} must have at least {least} items, got {len(items)}", span))
            if most is not None and len(items) > most:
                self.problems.take(Problem(f"{name} must have at most {most} items, got {len(items)}", span))
        return Several(tuple(items))

    def outputs(self) -> dict[str, Reference]:
        """Return where the graph's outputs come from."""
        outputs: dict[str, Reference] = {}
        for name, wire in self.flat.top.graph.outputs.items():
            found = self.follower.follow(wire, self.flat.top)
            if isinstance(found, Reference):
                outputs[name] = Reference(found.node, found.port, wire.tree.span)
            elif isinstance(found, Absent):
                self.problems.add(missing(f"the output {name}", "a value", found), wire.tree)
            elif not isinstance(found, Wrong):
                self.problems.add(f"the output {name} comes to a written value; no node makes it", wire.tree)
        return outputs


def missing(name: str, takes: str, absent: Absent) -> str:
    """Say that something is needed which a switched-off node would give."""
    return f"{name} needs {takes}, but {absent.node} is switched off; give {absent.node} an `else:` for it"


def _source(wire: FromInput, scope: Scope) -> Wire | None:
    """Return what computes an included graph's input; None where it is a literal."""
    here: Wire | None = wire
    where = scope
    while isinstance(here, FromInput):
        if where.include is None:
            return None
        include = where.include
        here = include.written.inputs.get(here.name)
        where = include.scope
    return None if here is None or isinstance(here, Plain) else here


def _plain(value: object) -> Json:
    """Return a value given from outside as plain JSON; raises Refused."""
    try:
        return plant(value, "").plainly()
    except GraphErrors as errors:
        raise Refused(f"cannot be used: {errors.problems[0].message}") from None
