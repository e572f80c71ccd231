"""The JSON Schema of graph files agrees with what the engine takes, and with what it refuses."""

from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

from engine import bind, graph_schema, input_schema, parse
from engine.reading import read
from engine.values import Json
from tests.engine.plain import REGISTRY
from tests.engine.test_bind import GRAPH
from tests.engine.test_graph_properties import VALUES, graphs
from tests.engine.test_includes import DOUBLE

SCHEMA: Any = graph_schema(REGISTRY)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def graph(node: Json) -> dict[str, Json]:
    return {"nova": 1, "nodes": {"a": node}, "outputs": {"value": "$a.value"}}


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator.check_schema(input_schema(parse(GRAPH), REGISTRY))


def test_editors_are_not_told_what_others_call_a_choice() -> None:
    assert "Plain a" not in str(SCHEMA)


@pytest.mark.parametrize("text", [GRAPH, DOUBLE])
def test_graphs_of_the_tests_are_valid(text: str) -> None:
    VALIDATOR.validate(read(text, "f").plainly())


@given(graphs())
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_random_graphs_are_valid(drawn: dict[str, Json]) -> None:
    VALIDATOR.validate(drawn)


GOOD: list[Json] = [
    {"type": "Count"},
    {"type": "Count", "inputs": {}},
    {"type": "Count", "inputs": {"steps": 3, "size": None, "twice": True}},
    {"type": "Count", "inputs": {"steps": "$b.value", "size": "$inputs.size"}},
    {"type": "Number", "when": "$inputs.on", "inputs": {"value": 1}, "else": {"value": 3}},
    {"type": "Number", "when": False, "inputs": {"value": 1}, "else": {"value": "$b.value"}},
    {"type": "Sum", "inputs": {"items": [1, "$b.value", "$inputs.n"]}},
    {"type": "Sum", "inputs": {"items": "$b.values"}},
    {"type": "Tokens", "inputs": {"tokens": ["$b.token"]}},
    {"type": "Tokens", "inputs": {"tokens": []}},
    {"type": "UseToken", "inputs": {"token": "$face/detect.token", "spare": None}},
    {"type": "Text", "inputs": {"text": "$$5", "style": "loud"}},
    {"type": "Text", "inputs": {"text": "", "style": "$inputs.style"}},
    {"type": "Opened", "inputs": {"name": "auto"}},
    {"type": "Opened", "inputs": {"name": "$inputs.name"}},
    {"graph": "parts/face.yaml", "inputs": {"image": "$b.image", "n": 3}},
]

BAD: list[Json] = [
    {"type": "Cuont"},
    {"type": "Count", "inputs": {"stepz": 3}},
    {"type": "Count", "inputs": {"steps": 0}},
    {"type": "Count", "inputs": {"steps": "3"}},
    {"type": "Count", "inputs": {"steps": True}},
    {"type": "Count", "inputs": {"size": 12}},
    {"type": "Count", "inputs": {"twice": "false"}},
    {"type": "Count", "else": {"value": 1}},
    {"type": "Count", "when": "true", "else": {"valeu": 1}},
    {"type": "Count", "when": "true", "else": {"value": "x"}},
    {"type": "Count", "when": 3},
    {"type": "Count", "extra": 3},
    {"type": "Count", "graph": "x.yaml"},
    {"inputs": {}},
    {"type": "Number"},
    {"type": "Add", "inputs": {"left": 1}},
    {"type": "Sum", "inputs": {"items": [1, "x"]}},
    {"type": "Sum", "inputs": {"items": 3}},
    {"type": "UseToken", "inputs": {"token": "gold"}},
    {"type": "UseToken", "inputs": {"token": {"name": "gold"}}},
    {"type": "UseToken", "inputs": {"token": None}},
    {"type": "Text", "inputs": {"text": "$5"}},
    {"type": "Text", "inputs": {"style": "lout"}},
    {"type": "Opened", "inputs": {"name": "$b.text"}},
    {"type": "Tokens", "inputs": {"tokens": [1]}},
    "Count",
]


@pytest.mark.parametrize("node", GOOD, ids=str)
def test_a_good_node_is_valid(node: Json) -> None:
    VALIDATOR.validate(graph(node))


@pytest.mark.parametrize("node", BAD, ids=str)
def test_a_bad_node_is_not(node: Json) -> None:
    assert not VALIDATOR.is_valid(graph(node))


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"nova": 1},
        {"nova": 2, **{key: value for key, value in graph(GOOD[0]).items() if key != "nova"}},
        {**graph(GOOD[0]), "extra": 1},
        {**graph(GOOD[0]), "outputs": {}},
        {**graph(GOOD[0]), "outputs": {"value": 3}},
        {**graph(GOOD[0]), "nodes": {}},
        {**graph(GOOD[0]), "nodes": {"inputs": GOOD[0]}},
        {**graph(GOOD[0]), "nodes": {"a b": GOOD[0]}},
        {**graph(GOOD[0]), "inputs": {"a": {"type": "intger"}}},
        {**graph(GOOD[0]), "inputs": {"a": {}}},
        {**graph(GOOD[0]), "inputs": {"a": {"type": "integer", "pattern": "x"}}},
    ],
    ids=str,
)
def test_a_bad_graph_is_not_valid(tree: Json) -> None:
    assert not VALIDATOR.is_valid(tree)


@given(VALUES)
@settings(max_examples=50)
def test_values_the_schema_allows_are_taken(values: dict[str, Json]) -> None:
    parsed = parse(GRAPH)
    known = {name: value for name, value in values.items() if name in ("seed", "on")}
    jsonschema.Draft202012Validator(input_schema(parsed, REGISTRY)).validate(known)
    bind(parsed, REGISTRY, known)


@pytest.mark.parametrize(
    "values",
    [{"steps": 0}, {"steps": "3"}, {"seed": "rnd"}, {"seed": -1}, {"on": "true"}, {"nope": 1}, {"size": 12}],
    ids=str,
)
def test_values_the_schema_refuses_are_refused(values: dict[str, Json]) -> None:
    assert not jsonschema.Draft202012Validator(input_schema(parse(GRAPH), REGISTRY)).is_valid(values)
