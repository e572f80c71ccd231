"""Finding one's way in a workflow: what is connected, what is only passed on, what is a plain value."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from engine.values import Json
from nova_graph.cli.exits import UsageError
from nova_graph.importing.comfy.trail import Trail
from nova_graph.importing.comfy.workflow import ComfyNode, Link, Workflow

PASSES: Final = "Reroute"
VALUES: Final = {
    **dict.fromkeys(
        ("PrimitiveNode", "PrimitiveFloat", "PrimitiveInt", "PrimitiveString", "PrimitiveStringMultiline"), "value"
    ),
    "Seed (rgthree)": "seed",
}
"""Nodes that hold a plain value, and where."""

Part = TypeVar("Part")


class Reader:
    """The nodes of a workflow; everything raises UsageError where the workflow does not hold together."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self._trail = Trail(self._passed_on)

    def end(self, link: Link) -> Link:
        """Return the output behind a link, past nodes that only pass on."""
        return self._trail.end(link)

    def _passed_on(self, link: Link) -> Link | None:
        node = self.workflow.get(link.node)
        if node is None:
            raise UsageError(f"the workflow has no node {link.node}, but another one reads it")
        return next(node.links(), Link("", 0)) if node.type == PASSES else None

    def node(self, link: Link) -> ComfyNode:
        """Return the node behind a link."""
        return self.workflow[self.end(link).node]

    def link(self, node: ComfyNode, port: str) -> Link:
        """Return what a port is connected to."""
        value = node.inputs.get(port)
        if not isinstance(value, Link):
            raise UsageError(f"nothing is connected to {port} of {node.type} (node {node.id})")
        return value

    def behind(self, node: ComfyNode, port: str) -> ComfyNode:
        """Return the node that a port is connected to."""
        return self.node(self.link(node, port))

    def value(self, node: ComfyNode, port: str, missing: Json = None) -> Json:
        """Return a plain value, also one that another node holds."""
        value = node.inputs.get(port, missing)
        if not isinstance(value, Link):
            return plain(node, port, value)
        holder = self.node(value)
        held = holder.inputs.get(VALUES.get(holder.type, ""))
        if holder.type not in VALUES or isinstance(held, Link):
            raise UsageError(f"{port} of {node.type} (node {node.id}) is computed by {holder.type} (node {holder.id})")
        return plain(node, port, held)


class Once(Generic[Part]):
    """Translates a node the first time it is asked for."""

    def __init__(self, reader: Reader, make: Callable[[ComfyNode], Part]) -> None:
        self._reader, self._make = reader, make
        self._made: dict[str, Part] = {}

    def __call__(self, link: Link) -> Part:
        """Return what the node behind a link became."""
        node = self._reader.node(link)
        if node.id not in self._made:
            self._made[node.id] = self._make(node)
        return self._made[node.id]


def plain(node: ComfyNode, port: str, value: Json) -> Json:
    """Return a value that has no others in it; raises UsageError."""
    if isinstance(value, list | dict):
        raise UsageError(f"{port} of {node.type} (node {node.id}) is neither a number nor a text")
    return value


def nothing(what: str, node: ComfyNode) -> UsageError:
    """Return the error of a node that stands where it gives nothing of use."""
    return UsageError(f"{node.type} (node {node.id}) gives no {what} that can be imported")
