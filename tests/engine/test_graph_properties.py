"""Laws of the front half over random graphs, and over random rubbish."""

import json
from dataclasses import dataclass, field
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import GraphErrors, bind, check, document, input_words, parse
from engine.openers import LibraryOpener
from engine.values import Json
from tests.engine.plain import REGISTRY, bound, plain
from tests.engine.test_bind import GRAPH
from tests.engine.test_includes import DOUBLE

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["$5", "$$", "$n0.value", "no"])
SMALL = st.integers(0, 100)
INPUTS: dict[str, Json] = {
    "n": {"type": "integer", "default": 8, "minimum": 1, "maximum": 100, "description": "a number"},
    "x": {"type": "number", "default": 2},
    "seed": {"type": "seed", "default": "random"},
    "text": {"type": "string", "default": "$x", "enum": ["$x", "y", "$$z"]},
    "on": {"type": "boolean", "default": True},
    "off": {"type": "boolean", "default": False},
    "none": {"type": ["integer", "null"], "default": None},
}
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(1, 100),
        "x": st.integers(0, 100) | st.floats(0, 100),
        "seed": st.integers(0, 2**64 - 1),
        "text": st.sampled_from(["$x", "y", "$$z"]),
        "on": st.booleans(),
        "off": st.booleans(),
        "none": st.none() | st.integers(1, 9).map(lambda value: 8 * value),
    },
)


@dataclass
class Drawn:
    """A graph being drawn: its nodes, and the references of each kind that may be used."""

    nodes: dict[str, Json] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    @property
    def whole(self) -> st.SearchStrategy[Json]:
        return st.sampled_from(["$inputs.n", *self.numbers]) | SMALL

    @property
    def token(self) -> st.SearchStrategy[Json]:
        return st.sampled_from([*self.tokens])

    def inputs(self) -> dict[str, st.SearchStrategy[dict[str, Json]]]:
        """Return, by node type, what its inputs may be."""
        some: dict[str, st.SearchStrategy[dict[str, Json]]] = {
            "Number": st.fixed_dictionaries({"value": SMALL | st.just("$inputs.n")}),
            "Add": st.fixed_dictionaries({"left": self.whole, "right": self.whole}),
            "Sum": st.fixed_dictionaries({"items": st.lists(self.whole, max_size=4)}),
            "Count": st.fixed_dictionaries(
                {},
                optional={
                    "steps": st.integers(1, 150) | st.just("$inputs.n"),
                    "seed": st.integers(0, 2**64 - 1) | st.just("$inputs.seed"),
                    "twice": st.booleans() | st.sampled_from(["$inputs.on", "$inputs.off"]),
                    "size": st.just("$inputs.none") | st.none(),
                },
            ),
            "MakeToken": st.fixed_dictionaries({}, optional={"name": TEXTS.map(escape) | st.just("$inputs.text")}),
        }
        if self.tokens:
            some["UseToken"] = st.fixed_dictionaries({"token": self.token}, optional={"spare": self.token})
            some["Tokens"] = st.fixed_dictionaries({}, optional={"tokens": st.lists(self.token, max_size=3)})
        if self.numbers:
            factor = st.floats(0, 100) | st.just("$inputs.x")
            some["Scale"] = st.fixed_dictionaries({"x": self.whole}, optional={"by": factor})
        return some


def escape(text: str) -> str:
    return f"${text}" if text.startswith("$") else text


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Json]:
    drawn = Drawn()
    for index in range(draw(st.integers(1, 10))):
        choices = drawn.inputs()
        kind = draw(st.sampled_from(sorted(choices)))
        node: dict[str, Json] = {"type": kind, "inputs": dict(draw(choices[kind]))}
        if draw(st.booleans()):
            add_condition(draw, drawn, kind, node)
        drawn.nodes[f"n{index}"] = node
        if kind in ("Number", "Add", "Sum", "Count"):
            drawn.numbers.append(f"$n{index}.value")
        elif kind == "MakeToken" and ("when" not in node or "else" in node):
            drawn.tokens.append(f"$n{index}.token")
    last: dict[str, Json] = {"type": "Sum", "inputs": {"items": list(drawn.numbers)}}
    nodes: dict[str, Json] = {**drawn.nodes, "last": last}
    return {"nova": 1, "inputs": INPUTS, "nodes": nodes, "outputs": {"value": "$last.value"}}


def add_condition(draw: st.DrawFn, drawn: Drawn, kind: str, node: dict[str, Json]) -> None:
    conditions = ["$inputs.on", "$inputs.off", "$inputs.n > 50", "$inputs.none != null and $inputs.none > 8"]
    node["when"] = draw(st.sampled_from(conditions))
    if kind in ("Number", "Add", "Sum", "Count"):
        stand_ins = [*drawn.numbers, "$inputs.n"]
        node["else"] = {"value": draw(st.sampled_from(stand_ins) | SMALL)}
    elif kind == "MakeToken" and drawn.tokens:
        node["else"] = {"token": draw(drawn.token)}


@given(graphs(), VALUES)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_a_document_binds_to_the_graph_it_came_from(graph: dict[str, Json], values: dict[str, Json]) -> None:
    first = bind(parse(graph), REGISTRY, values)
    written = document(first)
    again = bind(parse(json.dumps(written), first.file), REGISTRY)
    assert plain(again) == plain(first)
    assert document(again) == written


@given(graphs(), VALUES, st.randoms(use_true_random=False))
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_names_and_order_do_not_matter(graph: dict[str, Json], values: dict[str, Json], chance: Random) -> None:
    names = {name: f"x-{index}" for index, name in enumerate(sorted(section(graph, "nodes"), reverse=True))}
    renamed = shuffled(renamed_references(graph, names), chance)
    assert isinstance(renamed, dict)
    renamed["nodes"] = {names[name]: node for name, node in section(renamed, "nodes").items()}
    values = {"seed": 1, **values}
    one = plain(bind(parse(graph), REGISTRY, values))
    other = plain(bind(parse(renamed), REGISTRY, values))
    expected = json.dumps(renamed_plain(one["nodes"], names), sort_keys=True)
    assert json.dumps(other["nodes"], sort_keys=True) == expected


def section(graph: dict[str, Json], key: str) -> dict[str, Json]:
    found = graph[key]
    assert isinstance(found, dict)
    return found


def renamed_references(value: Json, names: dict[str, str]) -> Json:
    if isinstance(value, dict):
        return {key: renamed_references(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed_references(item, names) for item in value]
    if isinstance(value, str) and value.startswith("$") and value[1:].split(".")[0] in names:
        node, port = value[1:].split(".", 1)
        return f"${names[node]}.{port}"
    return value


def renamed_plain(nodes: object, names: dict[str, str]) -> dict[str, object]:
    assert isinstance(nodes, dict)
    return {names[name]: renamed_values(node, names) for name, node in nodes.items()}


def renamed_values(value: object, names: dict[str, str]) -> object:
    if isinstance(value, tuple) and value[:1] == ("literal",):
        return value
    if isinstance(value, dict):
        return {key: renamed_values(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [renamed_values(item, names) for item in value]
    if isinstance(value, str) and value.split(".")[0] in names:
        node, port = value.split(".", 1)
        return f"{names[node]}.{port}"
    return value


def shuffled(value: Json, chance: Random) -> Json:
    if isinstance(value, dict):
        items = [(key, shuffled(item, chance)) for key, item in value.items()]
        chance.shuffle(items)
        return dict(items)
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


KEYS = st.sampled_from(
    [
        "nova",
        "inputs",
        "nodes",
        "outputs",
        "type",
        "graph",
        "when",
        "else",
        "a",
        "b",
        "value",
        "left",
        "default",
        "minimum",
        "enum",
        "items",
        "token",
        "tokens",
        "steps",
        "seed",
        "description",
        "multipleOf",
        "maxLength",
    ]
)
LEAVES: st.SearchStrategy[Json] = st.sampled_from(
    [
        1,
        0,
        -1,
        True,
        None,
        1.5,
        "",
        "$a.value",
        "$b.token",
        "$inputs.a",
        "$inputs.b",
        "Number",
        "Add",
        "Count",
        "Text",
        "UseToken",
        "MakeToken",
        "Tokens",
        "Token",
        "integer",
        "seed",
        "random",
        "null",
        "array",
        "string",
        "double",
        "$inputs.a > 0",
        "$",
        "$$",
        "inputs",
        [],
        {},
    ]
)
RUBBISH = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))
NODE = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["Number", "Add", "Count", "UseToken", "MakeToken", "Tokens", "Scale"]) | RUBBISH,
        "graph": st.just("double") | RUBBISH,
        "inputs": st.dictionaries(KEYS, LEAVES, max_size=3) | RUBBISH,
        "when": st.sampled_from(["$inputs.a", "$inputs.a > 0", True, "not $inputs.b == 'x'"]) | RUBBISH,
        "else": st.dictionaries(KEYS, LEAVES, max_size=2) | RUBBISH,
    },
)
NAMES = st.sampled_from(["a", "b", "c", "a/add"])
DECLARED = st.dictionaries(KEYS, RUBBISH, max_size=3) | st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["integer", "number", "string", "boolean", "seed", "Token", "array", ["integer", "null"]]
        )
    },
    optional={"default": LEAVES, "minimum": LEAVES, "enum": RUBBISH, "items": RUBBISH, "multipleOf": LEAVES},
)
NEARLY = st.fixed_dictionaries(
    {
        "nova": st.just(1) | LEAVES,
        "inputs": st.dictionaries(NAMES, DECLARED, max_size=3) | RUBBISH,
        "nodes": st.dictionaries(NAMES, NODE, min_size=1, max_size=4) | RUBBISH,
        "outputs": st.dictionaries(NAMES, LEAVES, min_size=1, max_size=2) | RUBBISH,
    }
)
OPENER = LibraryOpener({"double": DOUBLE})


@given(NEARLY | st.dictionaries(KEYS, RUBBISH), st.dictionaries(NAMES, RUBBISH, max_size=2))
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_any_tree_is_bound_or_refused(tree: dict[str, Json], values: dict[str, Json]) -> None:
    try:
        graph = parse(tree)
        check(graph, REGISTRY, opener=OPENER)
        input_words(graph, REGISTRY, opener=OPENER)
        first = bind(graph, REGISTRY, values, opener=OPENER, rng=Random(0))
    except GraphErrors as errors:
        assert errors.problems  # noqa: PT017
        return
    again = bind(parse(document(first)), REGISTRY)
    assert plain(again) == plain(first)


@given(st.lists(st.tuples(st.integers(0, len(GRAPH)), st.integers(0, 6), st.text(max_size=3)), min_size=1, max_size=4))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_text_is_bound_or_refused(edits: list[tuple[int, int, str]]) -> None:
    text = GRAPH
    for start, length, inserted in edits:
        text = text[:start] + inserted + text[start + length :]
    try:
        bound(text)
    except GraphErrors as errors:
        assert all(problem.span is not None for problem in errors.problems)  # noqa: PT017
