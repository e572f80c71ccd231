"""A node's key: what it computes, known before it runs.

The key is the sha256 of the node's type (its home and name) and version, its literals that differ from the defaults,
the content of the assets it names, the keys of its inputs and, for nodes that use the device, the environment. A Merkle
tree: one hash a node, so planning is linear however the graph is shaped.
"""

from collections.abc import Mapping
from hashlib import sha256

from engine.bound import Binding, BoundNode, Literal, Reference, Several
from engine.canonical import canonical
from engine.declaration import Declaration, InputPort
from engine.environment import Environment

FORMAT = b"nova-graph key 1\0"


def node_key(
    node: BoundNode,
    upstream: Mapping[str, str | None],
    assets: Mapping[tuple[str, str], str],
    environment: Environment,
    provenance: str = "",
) -> str | None:
    """Return the key of a node as 64 hex digits, or None where its result depends on more than can be keyed.

    `upstream` holds the keys of the nodes it refers to, `assets` the sha256 of what (node, port) names; `provenance` is
    the digest of what a node writes into its result besides what it computes. Raises Unkeyable where a literal has no
    canonical form.
    """
    declaration = node.declaration
    if not declaration.cls.pure or any(upstream[name] is None for name in references(node)):
        return None
    parts = [_type_part(declaration)]
    if declaration.device:
        parts.append(b"environment " + environment.key.encode())
    for name, port in declaration.ordered_inputs:
        part = _port_part(node, name, port, upstream, assets)
        if part is not None:
            parts.append(name.encode() + b" " + part)
    if provenance:
        parts.append(b"provenance " + provenance.encode())
    digest = sha256(FORMAT)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _type_part(declaration: Declaration) -> bytes:
    return f"{declaration.home}.{declaration.name} {declaration.version}".encode()


def _port_part(
    node: BoundNode,
    name: str,
    port: InputPort,
    upstream: Mapping[str, str | None],
    assets: Mapping[tuple[str, str], str],
) -> bytes | None:
    if port.asset is not None:
        content = assets.get((node.id, name), "")
        return b"asset " + content.encode() if content else None
    binding = node.bindings.get(name)
    if binding is None:
        return None
    if isinstance(binding, Literal) and is_default(binding, port):
        return None
    return _binding_part(binding, upstream)


def is_default(binding: Literal, port: InputPort) -> bool:
    """Tell whether a literal says what leaving the port out would say."""
    return not port.required and canonical(binding.value) == canonical(port.default)


def _binding_part(binding: Binding, upstream: Mapping[str, str | None]) -> bytes:
    if isinstance(binding, Literal):
        return b"literal " + canonical(binding.value)
    if isinstance(binding, Reference):
        return f"from {upstream[binding.node]} {binding.port}".encode()
    items = [_binding_part(item, upstream) for item in binding.items]
    return b"list " + b"".join(len(item).to_bytes(8, "little") + item for item in items)


def references(node: BoundNode) -> tuple[str, ...]:
    """Return the ids of the nodes that a node takes values from, each once, in the order written."""
    found: dict[str, None] = {}
    for binding in node.bindings.values():
        if isinstance(binding, Reference):
            found[binding.node] = None
        elif isinstance(binding, Several):
            found.update({item.node: None for item in binding.items if isinstance(item, Reference)})
    return tuple(found)
