"""A bound graph as a graph file again: what pictures carry, and what runs again to the same keys."""

from engine.bound import Binding, Bound, BoundNode, Literal, Reference
from engine.parse import FORMAT
from engine.tuples import as_json
from engine.values import Json
from engine.wires import escaped


def document(bound: Bound) -> dict[str, Json]:
    """Return a complete graph document: binding it without values gives the same graph.

    Includes are written out, conditions are settled, and the inputs have the values of this run as their defaults.
    """
    written: dict[str, Json] = {"nova": FORMAT}
    if bound.description:
        written["description"] = bound.description
    if bound.inputs:
        written["inputs"] = {name: {**given.schema, "default": given.value} for name, given in bound.inputs.items()}
    written["nodes"] = {node.id: _node(node, bound) for node in bound.nodes}
    written["outputs"] = {name: _reference(reference) for name, reference in bound.outputs.items()}
    return written


def _node(node: BoundNode, bound: Bound) -> Json:
    inputs = {name: _binding(binding, bound) for name, binding in node.bindings.items()}
    return {"type": node.declaration.name, "inputs": inputs} if inputs else {"type": node.declaration.name}


def _binding(binding: Binding, bound: Bound) -> Json:
    if isinstance(binding, Reference):
        return _reference(binding)
    if isinstance(binding, Literal):
        if binding.origin is not None and binding.origin in bound.inputs:
            return f"$inputs.{binding.origin}"
        return as_json(escaped(binding.value))
    return [_binding(item, bound) for item in binding.items]


def _reference(reference: Reference) -> Json:
    return f"${reference.node}.{reference.port}"
