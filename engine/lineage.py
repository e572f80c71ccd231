"""The part of a graph that one node came from."""

from collections.abc import Iterator

from engine.assets import Found
from engine.bound import Bound, BoundNode, Literal, Reference, Several
from engine.document import document
from engine.keys import references
from engine.plan import Plan, Step
from engine.provenance import Provenance
from engine.services import Services


def provenance_of(step: Step, plan: Plan, services: Services) -> Provenance:
    """Return how a step's inputs came to be: a graph document that ends at this step, and what it was made with."""
    bound = ancestry(plan.bound, step.id)
    ids = {node.id for node in bound.nodes}
    return Provenance(
        graph=document(bound),
        inputs={name: given.value for name, given in bound.inputs.items()},
        assets=tuple(
            {
                "node": node,
                "port": port,
                "kind": found.asset.kind,
                "name": found.asset.name,
                "file": found.path.name if found.path else "",
                "sha256": found.sha256,
            }
            for (node, port), found in plan.found.items()
            if node in ids
        ),
        environment=services.environment.fingerprint,
        key=step.key or "",
    )


def ancestry(bound: Bound, node_id: str) -> Bound:
    """Return the graph cut down to one node, what it depends on, and the graph inputs that reach it."""
    wanted = {node_id}
    nodes: list[BoundNode] = []
    for node in reversed(bound.nodes):
        if node.id in wanted:
            wanted.update(references(node))
            nodes.append(node)
    nodes.reverse()
    used = {name for node in nodes for name in _origins(node)}
    return Bound(
        nodes=tuple(nodes),
        outputs={port: Reference(node_id, port) for port in nodes[-1].declaration.outputs},
        inputs={name: given for name, given in bound.inputs.items() if name in used},
        description=bound.description,
        file=bound.file,
    )


def _origins(node: BoundNode) -> Iterator[str]:
    for binding in node.bindings.values():
        for item in binding.items if isinstance(binding, Several) else (binding,):
            if isinstance(item, Literal) and item.origin is not None:
                yield item.origin


def asset_of(plan: Plan, node_id: str, port: str) -> Found:
    """Return what the text of an asset port resolved to; raises KeyError where it named nothing."""
    return plan.found[node_id, port]
