"""Reading a resolved graph: which nodes a node came from, and with which inputs."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.provenance import Provenance
from engine.values import Json


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A node of a resolved graph: its id, its type, and what is written at its inputs."""

    id: str
    type: str
    written: dict[str, Json]

    def targets(self) -> list[str]:
        """Return the ids of the nodes it refers to, in the order of its inputs."""
        return [target for value in self.written.values() for target in _targets(value)]


class Ancestry:
    """The nodes of a provenance graph, and the way back from one to another."""

    def __init__(self, provenance: Provenance, defaults: Mapping[str, Mapping[str, Json]]) -> None:
        """Read a provenance; `defaults` has, for each type, the values of inputs that are left out."""
        nodes = provenance.graph.get("nodes")
        self._nodes = {} if not isinstance(nodes, dict) else dict(_ancestors(nodes))
        self._inputs = provenance.inputs
        self._defaults = defaults

    def ends(self) -> list[str]:
        """Return the nodes that no other node uses."""
        used = {target for node in self._nodes.values() for target in node.targets()}
        return [name for name in self._nodes if name not in used]

    def before(self, *ids: str) -> Iterator[Ancestor]:
        """Iterate over nodes and all they came from, nearest first."""
        queue = deque(name for name in ids if name in self._nodes)
        seen = set(queue)
        while queue:
            node = self._nodes[queue.popleft()]
            yield node
            for target in node.targets():
                if target in self._nodes and target not in seen:
                    seen.add(target)
                    queue.append(target)

    def nearest(self, kind: str, *ids: str) -> Ancestor | None:
        """Return the nearest node of a type, counting the nodes `ids` themselves."""
        return next((node for node in self.before(*ids) if node.type == kind), None)

    def behind(self, node: Ancestor, port: str) -> list[str]:
        """Return the ids that an input refers to."""
        return list(_targets(node.written.get(port)))

    def along(self, node: Ancestor, port: str) -> Iterator[Ancestor]:
        """Iterate over the nodes that a value went through, nearest first, as long as their input has the same name."""
        found = next(self.before(*self.behind(node, port)), None)
        while found is not None:
            yield found
            found = next(self.before(*self.behind(found, port)), None)

    def value(self, node: Ancestor, port: str) -> Json:
        """Return what an input is: a literal, a graph input's value, the default; None where it refers to a node."""
        if port not in node.written:
            return self._defaults.get(node.type, {}).get(port)
        written = node.written[port]
        if not isinstance(written, str) or not written.startswith("$"):
            return written
        if written.startswith("$$"):
            return written[1:]
        head, _, name = written[1:].partition(".")
        return self._inputs.get(name) if head == "inputs" else None


def _ancestors(nodes: dict[str, Json]) -> Iterator[tuple[str, Ancestor]]:
    for name, body in nodes.items():
        if isinstance(body, dict):
            written = body.get("inputs")
            yield name, Ancestor(name, str(body.get("type", "")), written if isinstance(written, dict) else {})


def _targets(value: Json) -> Iterator[str]:
    """Yield the node ids in a reference or a list of references; ids may hold dots no more than ports may."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and item.startswith("$") and not item.startswith(("$$", "$inputs.")):
            yield item[1:].rpartition(".")[0]
