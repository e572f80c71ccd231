"""Which graphs are planned in less time than it takes to hand them to a thread."""

from collections.abc import Iterator
from typing import Final

from engine import Registry

NODES: Final = 16
CHARACTERS: Final = 4096
"""Of all names, texts and numbers of a graph and its inputs together, about."""


def is_short(tree: object, inputs: object, registry: Registry) -> bool:
    """Tell whether a graph as JSON has few nodes and little text, and needs nothing from the disk but results."""
    nodes = tree.get("nodes") if isinstance(tree, dict) else None
    if not isinstance(nodes, dict) or len(nodes) > NODES:
        return False
    if not all(_stands_alone(node, registry) for node in nodes.values()):
        return False
    left = CHARACTERS
    for size in _sizes([tree, inputs]):
        left -= size
        if left < 0:
            return False
    return True


def _stands_alone(node: object, registry: Registry) -> bool:
    """Tell whether a node is of a known type and includes no graph, nor names weights or pictures."""
    kind = node.get("type") if isinstance(node, dict) else None
    declaration = registry.get(kind) if isinstance(kind, str) else None
    return declaration is not None and not declaration.asset_inputs


def _sizes(waiting: list[object]) -> Iterator[int]:
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        yield len(value) if isinstance(value, str) else 8
