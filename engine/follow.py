"""Where a wire really comes from, once inputs have values and some nodes are switched off."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from engine.bound import Literal, Reference, Several
from engine.check import Checked
from engine.errors import Problem
from engine.expand import Flat, Scope
from engine.problems import Problems
from engine.source import Tree
from engine.tuples import as_json, as_tuples
from engine.values import Json
from engine.wires import FromInput, FromNode, Items, Plain, Wire
from engine.words import LITERAL_TYPES, RANDOM, SEED_MAX, Refused, Words, settle, types_of

DRAWN_BELOW = 2**32
"""Random seeds stay below this: every tool of the field can read them."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing: the output of a node that is switched off and has no stand-in."""

    node: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that was complained about before."""


Found = Literal | Reference | Several | Absent | Wrong
Key = tuple[str, str, str]


def draw_seed(words: Words, rng: Random) -> int:
    """Return a new seed within the bounds of an input."""
    low, high = words.get("minimum", 0), words.get("maximum", SEED_MAX)
    least = low if isinstance(low, int) else 0
    most = high if isinstance(high, int) else SEED_MAX
    return rng.randint(least, max(least, min(most, DRAWN_BELOW - 1)))


@dataclass(slots=True)
class Follower:
    """Follows wires through included graphs, their inputs, and the stand-ins of skipped nodes; never recursively deep.

    `given` holds the values of the top graph's inputs, `off` the ids of all that is switched off.
    """

    flat: Flat
    checked: Checked
    given: Mapping[str, Found]
    problems: Problems
    rng: Random
    off: set[str] = field(default_factory=set)
    _known: dict[Key, Found] = field(default_factory=dict)

    def follow(self, wire: Wire, scope: Scope) -> Found:
        """Return what a wire in a scope comes to."""
        trail: list[tuple[Key, FromInput | FromNode, Scope]] = []
        on_trail: set[Key] = set()
        found: Found | None = None
        while found is None:
            if isinstance(wire, Plain):
                found = self.checked.literals.get(id(wire), Wrong())
            elif isinstance(wire, Items):
                found = self._several(wire, scope)
            else:
                key = _key(wire, scope)
                found = self._known.get(key)
                if found is None and key in on_trail:
                    self._complain_of_circle(trail, wire.tree)
                    found = Wrong()
                if found is None:
                    trail.append((key, wire, scope))
                    on_trail.add(key)
                    step = self._step(wire, scope)
                    if isinstance(step, tuple):
                        wire, scope = step
                    else:
                        found = step
        for key, passed, where in reversed(trail):
            if isinstance(passed, FromInput):
                found = self._through_input(passed, where, found)
            self._known[key] = found
        return found

    def _several(self, wire: Items, scope: Scope) -> Found:
        """Return a list; the outputs of nodes that are switched off are left out of it."""
        items: list[Literal | Reference] = []
        for item in wire.items:
            found = self.follow(item, scope)
            if isinstance(found, Wrong | Several):
                return Wrong()
            if not isinstance(found, Absent):
                items.append(found)
        if any(isinstance(item, Reference) for item in items):
            return Several(tuple(items))
        return Literal(tuple(item.value for item in items if isinstance(item, Literal)), None, wire.tree.span)

    def _step(self, wire: FromInput | FromNode, scope: Scope) -> tuple[Wire, Scope] | Found:
        if isinstance(wire, FromInput):
            if scope.include is None:
                return self.given.get(wire.name, Wrong())
            outer = scope.include.written.inputs.get(wire.name)
            return (outer, scope.include.scope) if outer is not None else Absent(scope.include.id)
        node_id = scope.id_of(wire.node)
        member = self.flat.nodes.get(node_id) or self.flat.includes.get(node_id)
        if member is None:
            return Wrong()
        if node_id in self.off:
            stand_in = member.written.otherwise.get(wire.port)
            return (stand_in, member.scope) if stand_in is not None else Absent(node_id)
        include = self.flat.includes.get(node_id)
        if include is None:
            return Reference(node_id, wire.port, wire.tree.span)
        return include.inner.graph.outputs[wire.port], include.inner

    def _through_input(self, wire: FromInput, scope: Scope, found: Found) -> Found:
        """Apply an include's input: its default where nothing comes, its bounds where a literal comes."""
        declared = scope.graph.inputs[wire.name]
        if scope.include is None:
            return found
        if isinstance(found, Absent):
            if not declared.has_default:
                return found
            found = Literal(as_tuples(declared.default), None, declared.default_tree.span)
        if not isinstance(found, Literal) or not set(declared.types) <= set(LITERAL_TYPES):
            return found
        words = self.checked.words[scope.prefix, declared.name]
        try:
            value = settle(words, as_json(found.value))
        except Refused as refused:
            name = f"{scope.prefix.removesuffix('/')}.{declared.name}"
            self.problems.take(Problem(f"{name} {refused}{came_from(found)}", found.span))
            return Wrong()
        return Literal(as_tuples(self.drawn(words, value)), found.origin, found.span)

    def drawn(self, words: Words, value: Json) -> Json:
        """Return the value, or a new seed where it is the word random."""
        if types_of(words) == ("seed",) and value == RANDOM:
            return draw_seed(words, self.rng)
        return value

    def _complain_of_circle(self, trail: list[tuple[Key, FromInput | FromNode, Scope]], tree: Tree) -> None:
        names = [scope.id_of(wire.node) for _, wire, scope in trail if isinstance(wire, FromNode)][:8]
        self.problems.add(f"switched-off nodes stand in for one another in a circle: {' -> '.join(names)}", tree)


def came_from(literal: Literal) -> str:
    """Say which graph input a literal came through."""
    return f" (from the input {literal.origin})" if literal.origin is not None else ""


def _key(wire: FromInput | FromNode, scope: Scope) -> Key:
    if isinstance(wire, FromInput):
        return ("input", scope.prefix, wire.name)
    return ("node", scope.id_of(wire.node), wire.port)
