"""Nodes in an order in which each follows what it needs, or the circle that forbids it."""

import heapq
from collections.abc import Sequence

from engine.bound import BoundNode, Literal, Reference, Several
from engine.errors import Problem, Span

CIRCLES = 10
"""Circles that are shown."""

SHOWN = 8
"""Nodes of a circle that are named."""


def in_order(nodes: Sequence[BoundNode]) -> tuple[BoundNode, ...]:
    """Return the nodes so that each follows what it needs, else as written; nodes in circles are left out."""
    position = {node.id: index for index, node in enumerate(nodes)}
    followers: list[list[int]] = [[] for _ in nodes]
    missing = [0] * len(nodes)
    for index, node in enumerate(nodes):
        for needed in {reference.node for reference in references_of(node)}:
            followers[position[needed]].append(index)
            missing[index] += 1
    ready = [index for index, count in enumerate(missing) if count == 0]
    ordered: list[BoundNode] = []
    while ready:
        index = heapq.heappop(ready)
        ordered.append(nodes[index])
        for follower in followers[index]:
            missing[follower] -= 1
            if missing[follower] == 0:
                heapq.heappush(ready, follower)
    return tuple(ordered)


def circles(nodes: Sequence[BoundNode]) -> list[Problem]:
    """Return a problem for each knot of nodes that wait for each other, with one way around it."""
    import networkx  # takes a fifth of a second to import, and only broken graphs need it

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for node in nodes:
        graph.add_edges_from((reference.node, node.id) for reference in references_of(node))
    spans = {(reference.node, node.id): reference.span for node in nodes for reference in references_of(node)}
    loops = set(networkx.nodes_with_selfloops(graph))
    knots = [knot for knot in networkx.strongly_connected_components(graph) if len(knot) > 1 or knot & loops]
    position = {node.id: index for index, node in enumerate(nodes)}
    knots.sort(key=lambda knot: min(position[name] for name in knot))
    found: list[Problem] = []
    for knot in knots[:CIRCLES]:
        first = min(knot, key=position.__getitem__)
        edges = networkx.find_cycle(graph.subgraph(knot), first)
        found.append(_problem([(str(one), str(other)) for one, other in edges], spans))
    return found


def references_of(node: BoundNode) -> list[Reference]:
    """Return every reference among a node's bindings."""
    found: list[Reference] = []
    for binding in node.bindings.values():
        if isinstance(binding, Reference):
            found.append(binding)
        elif isinstance(binding, Several):
            found.extend(item for item in binding.items if not isinstance(item, Literal))
    return found


def _problem(edges: list[tuple[str, str]], spans: dict[tuple[str, str], Span | None]) -> Problem:
    names = [edges[0][0], *(other for _, other in edges)]
    if len(names) > SHOWN + 2:
        names = [*names[:SHOWN], f"({len(names) - SHOWN - 1} more)", names[-1]]
    lines: list[str] = []
    for one, other in edges[:SHOWN]:
        span = spans[one, other]
        lines.append(f"{other} reads {one}" + (f" on line {span.line}" if span is not None else ""))
    return Problem(f"nodes wait for each other: {' -> '.join(names)} ({', '.join(lines)})", spans[edges[0]])
