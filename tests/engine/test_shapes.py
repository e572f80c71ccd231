"""Large and deep graphs of every shape bind, in an order in which each node follows what it needs."""

import pytest

from engine import GraphErrors, bind, document, parse
from engine.bound import Bound
from engine.order import references_of
from engine.values import Json
from tests.engine.plain import REGISTRY, plain

SIZE = 5_000


def chain(backwards: bool = False) -> dict[str, Json]:
    nodes: dict[str, Json] = {"n0": {"type": "Number", "inputs": {"value": 1}}}
    for index in range(1, SIZE):
        nodes[f"n{index}"] = {"type": "Add", "inputs": {"left": f"$n{index - 1}.value", "right": 1}}
    if backwards:
        nodes = dict(reversed(nodes.items()))
    return {"nova": 1, "nodes": nodes, "outputs": {"value": f"$n{SIZE - 1}.value"}}


def fan() -> dict[str, Json]:
    nodes: dict[str, Json] = {"n0": {"type": "Number", "inputs": {"value": 1}}}
    for index in range(1, SIZE):
        nodes[f"n{index}"] = {"type": "Add", "inputs": {"left": "$n0.value", "right": 1}}
    items: list[Json] = [f"$n{index}.value" for index in range(1, SIZE)]
    nodes["sum"] = {"type": "Sum", "inputs": {"items": items}}
    return {"nova": 1, "nodes": nodes, "outputs": {"value": "$sum.value"}}


def lattice() -> dict[str, Json]:
    nodes: dict[str, Json] = {}
    for row in range(70):
        for column in range(70):
            left = f"$n{row}_{column - 1}.value" if column else 1
            above = f"$n{row - 1}_{column}.value" if row else 1
            nodes[f"n{row}_{column}"] = {"type": "Add", "inputs": {"left": left, "right": above}}
    return {"nova": 1, "nodes": nodes, "outputs": {"value": "$n69_69.value"}}


def switched_off() -> dict[str, Json]:
    nodes: dict[str, Json] = {"n0": {"type": "Number", "inputs": {"value": 1}}}
    for index in range(1, SIZE):
        before = f"$n{index - 1}.value"
        nodes[f"n{index}"] = {
            "type": "Add",
            "when": "$inputs.on",
            "inputs": {"left": before, "right": 1},
            "else": {"value": before},
        }
    nodes["last"] = {"type": "Sum", "inputs": {"items": [f"$n{index}.value" for index in range(SIZE)]}}
    inputs: Json = {"on": {"type": "boolean", "default": False}}
    return {"nova": 1, "inputs": inputs, "nodes": nodes, "outputs": {"value": "$last.value"}}


def ordered(result: Bound) -> bool:
    seen: set[str] = set()
    for node in result.nodes:
        if any(reference.node not in seen for reference in references_of(node)):
            return False
        seen.add(node.id)
    return True


@pytest.mark.parametrize(
    "graph", [chain(), chain(backwards=True), fan(), lattice()], ids=["chain", "back", "fan", "lattice"]
)
def test_five_thousand_nodes_bind(graph: dict[str, Json]) -> None:
    result = bind(parse(graph), REGISTRY)
    nodes = graph["nodes"]
    assert isinstance(nodes, dict)
    assert {node.id for node in result.nodes} == set(nodes)
    assert ordered(result)
    assert plain(bind(parse(document(result)), REGISTRY)) == {**plain(result), "inputs": {}}


def test_written_order_is_kept_where_it_can_be() -> None:
    result = bind(parse(chain()), REGISTRY)
    assert [node.id for node in result.nodes] == [f"n{index}" for index in range(SIZE)]


def test_thousands_of_switched_off_nodes_dissolve() -> None:
    result = bind(parse(switched_off()), REGISTRY)
    assert [node.id for node in result.nodes] == ["n0", "last"]
    assert {reference.node for reference in references_of(result.nodes[1])} == {"n0"}


def test_a_very_long_circle_is_told_in_short() -> None:
    graph = chain()
    nodes = graph["nodes"]
    assert isinstance(nodes, dict)
    nodes["n0"] = {"type": "Add", "inputs": {"left": f"$n{SIZE - 1}.value", "right": 1}}
    with pytest.raises(GraphErrors) as caught:
        bind(parse(graph), REGISTRY)
    [problem] = caught.value.problems
    assert problem.message.startswith("nodes wait for each other: n0 -> n1 -> n2")
    assert f"({SIZE - 8} more) -> n0" in problem.message
    assert len(problem.message) < 400


def test_an_unconnected_node_without_inputs_is_named() -> None:
    graph = chain()
    nodes = graph["nodes"]
    assert isinstance(nodes, dict)
    nodes["lonely"] = {"type": "UseToken"}
    with pytest.raises(GraphErrors, match='lonely needs an input "token"'):
        bind(parse(graph), REGISTRY)


def test_too_many_nodes_are_refused() -> None:
    nodes: dict[str, Json] = {f"n{index}": {"type": "Number", "inputs": {"value": 1}} for index in range(20_001)}
    with pytest.raises(GraphErrors, match="a graph may have 20000 nodes"):
        parse({"nova": 1, "nodes": nodes, "outputs": {"value": "$n0.value"}})
