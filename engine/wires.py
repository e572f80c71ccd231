"""What may stand behind a port's name in a graph file: a literal, a reference, or a list of these."""

import re
from dataclasses import dataclass
from typing import Final

from engine.problems import Problems, shown
from engine.source import Tree

NODE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(?:/[A-Za-z0-9_-]{1,64}){0,31}")
"""Letters, digits, `_`, `-`; parts joined by `/` where a graph was included."""

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""A graph input, a graph output or a port."""

_REFERENCE = re.compile(rf"\$({NODE_ID.pattern})\.({NAME.pattern})")


@dataclass(frozen=True, slots=True)
class Plain:
    """A literal: lists are tuples, and a leading `$$` has become `$`."""

    value: object
    tree: Tree


@dataclass(frozen=True, slots=True)
class FromNode:
    """`$node.port`."""

    node: str
    port: str
    tree: Tree


@dataclass(frozen=True, slots=True)
class FromInput:
    """`$inputs.name`."""

    name: str
    tree: Tree


@dataclass(frozen=True, slots=True)
class Items:
    """A list that holds at least one reference."""

    items: "tuple[Plain | FromNode | FromInput, ...]"
    tree: Tree


Wire = Plain | FromNode | FromInput | Items


def read_wire(tree: Tree, problems: Problems) -> Wire | None:
    """Read what stands behind a port's name; None where it is wrong."""
    if not isinstance(tree.value, list):
        return _read_single(tree, problems)
    singles = [_read_single(child, problems) for child in tree.value]
    items = tuple(single for single in singles if single is not None)
    if len(items) < len(singles):
        return None
    if all(isinstance(item, Plain) for item in items):
        return Plain(tuple(item.value for item in items if isinstance(item, Plain)), tree)
    return Items(items, tree)


def escaped(value: object) -> object:
    """Return a literal as it must be written, with `$$` where a text begins with a dollar."""
    if isinstance(value, str):
        return f"${value}" if value.startswith("$") else value
    if isinstance(value, tuple | list):
        return [escaped(item) for item in value]
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    return value


def _read_single(tree: Tree, problems: Problems) -> Plain | FromNode | FromInput | None:
    text = tree.value
    if not isinstance(text, str) or not text.startswith("$") or text.startswith("$$"):
        return _read_literal(tree, problems)
    match = _REFERENCE.fullmatch(text)
    if match is None:
        problems.add(
            f"{shown(text)} is no reference: write $node.port or $inputs.name, "
            f"or double the dollar for a text that begins with one",
            tree,
        )
        return None
    node, port = match.groups()
    return FromInput(port, tree) if node == "inputs" else FromNode(node, port, tree)


def _read_literal(tree: Tree, problems: Problems) -> Plain | None:
    strays = _stray_references(tree)
    for stray in strays:
        problems.add(f"{shown(stray.value)}: a reference is a whole value or an item of a list, not deeper", stray)
    return None if strays else Plain(_literal(tree), tree)


def _stray_references(tree: Tree) -> list[Tree]:
    if not isinstance(tree.value, list | dict):
        return []
    strays: list[Tree] = []
    for child in tree.children():
        text = child.value
        if isinstance(text, str) and text.startswith("$") and not text.startswith("$$"):
            strays.append(child)
        strays.extend(_stray_references(child))
    return strays


def _literal(tree: Tree) -> object:
    value = tree.value
    if isinstance(value, str):
        return value[1:] if value.startswith("$$") else value
    if isinstance(value, list):
        return tuple(_literal(child) for child in value)
    if isinstance(value, dict):
        return {key: _literal(child) for key, child in value.items()}
    return value
