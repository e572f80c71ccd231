"""Bound graphs as plain data, without places, for comparing."""

from collections.abc import Mapping

from engine import Bound, Registry, bind, parse
from engine.bound import Binding, Literal, Reference
from engine.openers import Opener, refuse_includes
from engine.values import Json
from tests.engine.arith import arithmetic

REGISTRY: Registry = arithmetic()


def bound(text: str, values: Mapping[str, Json] | None = None, opener: Opener = refuse_includes) -> Bound:
    """Parse and bind a text with the arithmetic nodes."""
    return bind(parse(text, "test.yaml"), REGISTRY, values, opener=opener)


def plain(given: Bound) -> dict[str, object]:
    """Return what a bound graph says, without where it was written."""
    return {
        "nodes": {
            node.id: (node.declaration.name, {name: _plain(item) for name, item in node.bindings.items()})
            for node in given.nodes
        },
        "order": [node.id for node in given.nodes],
        "outputs": {name: (item.node, item.port) for name, item in given.outputs.items()},
        "inputs": {name: (item.schema, item.value) for name, item in given.inputs.items()},
        "description": given.description,
    }


def _plain(binding: Binding) -> object:
    if isinstance(binding, Reference):
        return f"{binding.node}.{binding.port}"
    if isinstance(binding, Literal):
        return ("literal", type(binding.value).__name__, binding.value, binding.origin)
    return [_plain(item) for item in binding.items]


def bindings(given: Bound, node: str) -> dict[str, object]:
    """Return the bindings of one node: values of literals, `node.port` of references."""
    found = next(each for each in given.nodes if each.id == node)
    return {name: _value(binding) for name, binding in found.bindings.items()}


def _value(binding: Binding) -> object:
    if isinstance(binding, Literal):
        return binding.value
    if isinstance(binding, Reference):
        return f"{binding.node}.{binding.port}"
    return [_value(item) for item in binding.items]
