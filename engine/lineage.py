"""The part of a graph that one node came from."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256

from engine.assets import Found
from engine.bound import Bound, BoundNode, Literal, Reference, Several
from engine.document import document
from engine.environment import Environment
from engine.keys import references
from engine.provenance import Provenance

Assets = Mapping[tuple[str, str], Found]
"""What (node, port) names."""


def provenance_of(bound: Bound, node_id: str, assets: Assets, environment: Environment, key: str | None) -> Provenance:
    """Return how a node's inputs came to be: a graph document that ends at this node, and what it was made with."""
    part = ancestry(bound, node_id)
    ids = {node.id for node in part.nodes}
    return Provenance(
        graph=document(part),
        inputs={name: given.value for name, given in part.inputs.items()},
        assets=tuple(
            {
                "node": node,
                "port": port,
                "kind": found.asset.kind,
                "name": found.asset.name,
                "file": found.path.name if found.path else "",
                "sha256": found.sha256,
            }
            for (node, port), found in assets.items()
            if node in ids
        ),
        environment=environment.fingerprint,
        key=key or "",
    )


def provenance_digest(bound: Bound, node_id: str, assets: Assets) -> str:
    """Return the sha256 of what is particular to one graph in a node's provenance: ids, names, description.

    The order of nodes, inputs and ports does not matter, nor where the picture is made.
    """
    told = provenance_of(bound, node_id, assets, Environment(), None)
    named = sorted((str(asset["node"]), str(asset["port"]), asset) for asset in told.assets)
    text = json.dumps([told.graph, told.inputs, named], sort_keys=True)
    return sha256(text.encode()).hexdigest()


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
