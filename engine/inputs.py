"""The `inputs:` section of a graph file: declarations in JSON Schema words."""

from typing import Final

from engine.graph import GraphInput
from engine.problems import CUT, Problems, listed, shown
from engine.source import Tree
from engine.values import Json
from engine.wires import NAME
from engine.words import LITERAL_TYPES, NUMERIC, SIZES, Refused, Words, settle, types_of

WORDS: Final = ("type", "default", "description", *NUMERIC, "enum", *SIZES, "items")
MAX_CHOICES: Final = 200
"""Values in one `enum`."""


def read_inputs(section: dict[str, Tree], problems: Problems) -> dict[str, GraphInput]:
    """Read every declared input; what is wrong is noted and left out."""
    inputs: dict[str, GraphInput] = {}
    for name, tree in section.items():
        if not NAME.fullmatch(name):
            problems.add(f"{shown(name)} cannot be an input's name: use letters, digits and _ (at most 64)", tree.name)
            continue
        declared = _Declaration(name, tree, problems).read()
        if declared is not None:
            inputs[name] = declared
    return inputs


class _Declaration:
    """Reads one declared input."""

    def __init__(self, name: str, tree: Tree, problems: Problems) -> None:
        self.name = name
        self.tree = tree
        self.problems = problems
        self.faults = 0

    def complain(self, message: str, place: Tree) -> None:
        self.problems.add(message, place)
        self.faults += 1

    def read(self) -> GraphInput | None:
        written = self.tree.value
        if not isinstance(written, dict):
            self.complain(f"{self.name} must be declared as a mapping, for instance {{type: integer}}", self.tree)
            return None
        words = self.words(self.name, self.tree, written, WORDS)
        description = written.get("description")
        if description is not None and not isinstance(description.value, str):
            self.complain(f"{self.name}.description must be text", description)
        default = written.get("default")
        value = self.default(words, default) if default is not None and not self.faults else None
        place = default or self.tree.name
        return None if self.faults else GraphInput(self.name, words, value, default is not None, self.tree.name, place)

    def words(self, name: str, tree: Tree, written: dict[str, Tree], known: tuple[str, ...]) -> Words:
        for key, child in written.items():
            if key not in known:
                advice = CUT if child.is_left_out else ""
                self.problems.unknown("an input has no word", key, known, child.name, advice=advice)
                self.faults += 1
        if "type" not in written:
            self.complain(f"{name} needs a type: {listed(LITERAL_TYPES)}", tree.name)
            return {}
        types = self.types(name, written["type"])
        if self.faults:
            return {}
        for key in (*NUMERIC, *SIZES):
            if key in written:
                self.bound(name, key, written[key], types)
        if "items" in written:
            self.items(name, written["items"], types)
        words = {key: child.plainly() for key, child in written.items() if key != "default"}
        if "enum" in written and not self.faults:
            words["enum"] = self.choices(name, written["enum"], words)
        return words

    def types(self, name: str, tree: Tree) -> tuple[str, ...]:
        written = tree.plainly()
        types = types_of({"type": written})
        whole = written if isinstance(written, list) else [written]
        if not whole or not all(isinstance(item, str) and NAME.fullmatch(item) for item in whole):
            self.complain(f'{name}.type must be a type, or a list such as [integer, "null"]', tree)
        elif strange := [item for item in types if item not in LITERAL_TYPES and not item[0].isupper()]:
            self.problems.unknown(f"{name} has an unknown type", strange[0], LITERAL_TYPES, tree)
            self.faults += 1
        elif len(set(types)) < len(types):
            self.complain(f"{name}.type names a type twice", tree)
        elif types == ("null",):
            self.complain(f"{name}.type allows nothing but null", tree)
        elif any(item not in LITERAL_TYPES for item in types) and len(set(types) - {"null"}) > 1:
            self.complain(f'{name}.type: a port type stands alone or with "null"', tree)
        elif "seed" in types and len(types) > 1:
            self.complain(f"{name}.type: seed stands alone", tree)
        return types

    def bound(self, name: str, key: str, tree: Tree, types: tuple[str, ...]) -> None:
        value = tree.value
        if key in NUMERIC:
            fits = bool({"integer", "number", "seed"} & set(types))
            right = isinstance(value, int | float) and not isinstance(value, bool)
            if right and key == "multipleOf" and isinstance(value, int | float):
                right = value > 0
            wanted = "a number above 0" if key == "multipleOf" else "a number"
        else:
            fits = SIZES[key] in types
            right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            wanted = "an integer from 0"
        if not fits:
            self.complain(f"{name}.{key} means nothing for type {listed(types)}", tree.name)
        elif not right:
            self.complain(f"{name}.{key} must be {wanted}, got {shown(tree.plainly())}", tree)

    def items(self, name: str, tree: Tree, types: tuple[str, ...]) -> None:
        if "array" not in types:
            self.complain(f"{name}.items means nothing for type {listed(types)}", tree.name)
        elif not isinstance(tree.value, dict):
            self.complain(f"{name}.items must be a mapping, for instance {{type: string}}", tree)
        else:
            known = ("type", *NUMERIC, "enum", "minLength", "maxLength")
            inner = self.words(f"{name}.items", tree, tree.value, known)
            if not self.faults and {"seed", "array"} & set(types_of(inner)):
                self.complain(f"{name}.items cannot be of type {listed(types_of(inner))}", tree)

    def choices(self, name: str, tree: Tree, words: Words) -> Json:
        written = tree.plainly()
        if not isinstance(written, list) or not 0 < len(written) <= MAX_CHOICES:
            self.complain(f"{name}.enum must be a list of 1 to {MAX_CHOICES} values", tree)
            return []
        rest = {key: value for key, value in words.items() if key != "enum"}
        chosen: list[Json] = []
        for child, value in zip(tree.children(), written, strict=True):
            try:
                chosen.append(settle(rest, value))
            except Refused as refused:
                self.complain(f"{name}.enum: each value {refused}", child)
        return chosen

    def default(self, words: Words, tree: Tree) -> Json:
        if any(name not in LITERAL_TYPES for name in types_of(words)):
            if tree.value is None and "null" in types_of(words):
                return None
            self.complain(f"{self.name} has a port type, which cannot be written as a default", tree)
            return None
        try:
            return settle(words, tree.plainly())
        except Refused as refused:
            self.complain(f"{self.name} {refused}", tree)
            return None
