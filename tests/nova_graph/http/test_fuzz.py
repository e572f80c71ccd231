"""Any JSON at all: the service says what is wrong with it and goes on."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.nova_graph.http.serving import Service, is_problem

PATHS = ("/v1/check", "/v1/plan", "/v1/jobs", "/predict")
JSON = {"Content-Type": "application/json"}
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["a", "b", "inputs", "face", "$a.value", "$$", "$inputs.x", "", "..", "\u202e", "nova"])
types = st.sampled_from(["Number", "Add", "Sampler", "Serializer", "LoadImage", "Nothing", ""])
ports = st.dictionaries(
    st.sampled_from(["value", "left", "right", "picture", "steps"]) | names, names | trees, max_size=3
)
nodes = st.fixed_dictionaries(
    {}, optional={"type": types | trees, "graph": names, "when": names | trees, "inputs": ports, "else": ports}
)
graphs = st.fixed_dictionaries(
    {
        "nova": st.just(1) | scalars,
        "nodes": st.dictionaries(names, nodes, max_size=4),
        "outputs": st.dictionaries(names, names | trees, max_size=3),
    },
    optional={
        "inputs": st.dictionaries(
            names, st.dictionaries(st.sampled_from(["type", "default", "enum", "minimum"]), names | trees), max_size=3
        ),
        "more": trees,
    },
)


def judged(answer: httpx.Response) -> bool:
    """Tell whether the answer is a yes, or a clear no."""
    return answer.status_code in (200, 202) or (
        400 <= answer.status_code < 500 and is_problem(answer, answer.status_code)
    )


@QUICK
@given(tree=trees, path=st.sampled_from(PATHS))
def test_any_json(client: httpx.Client, tree: Any, path: str) -> None:
    body = json.dumps(tree or [tree])
    assert judged(client.post(path, content=body, headers=JSON))


@QUICK
@given(graph=graphs, inputs=st.dictionaries(names, trees, max_size=2), path=st.sampled_from(PATHS[:2]))
def test_any_graph(client: httpx.Client, graph: Any, inputs: Any, path: str) -> None:
    assert judged(client.post(path, content=json.dumps({"graph": graph, "inputs": inputs}), headers=JSON))
    assert judged(client.post(path, content=json.dumps({"yaml": json.dumps(graph)}), headers=JSON))


@QUICK
@given(data=st.binary(max_size=200), path=st.sampled_from((*PATHS, "/v1/files")))
def test_any_bytes(client: httpx.Client, data: bytes, path: str) -> None:
    for kind in ("application/json", "application/yaml", "image/png"):
        assert judged(client.post(path, content=data, headers={"Content-Type": kind}))


@QUICK
@given(path=st.text(max_size=40), query=st.text(max_size=20))
def test_any_address(client: httpx.Client, path: str, query: str) -> None:
    try:
        url = httpx.URL(f"{client.base_url}/v1/jobs/", path=f"/v1/jobs/{path}", params={"wait": query, "before": query})
        answer = client.get(url)
    except (httpx.InvalidURL, UnicodeEncodeError):
        return
    assert judged(answer) or answer.status_code in (307, 405)


def nested(depth: int, opening: str, closing: str) -> bytes:
    """Return lists in lists."""
    return (opening * depth + "1" + closing * depth).encode()


def many(count: int) -> bytes:
    """Return a graph with many nodes."""
    nodes_ = ",".join(f'"n{index}":{{"type":"Number","inputs":{{"value":{index}}}}}' for index in range(count))
    return f'{{"graph":{{"nova":1,"nodes":{{{nodes_}}},"outputs":{{"x":"$n0.value"}}}}}}'.encode()


def ring(count: int) -> bytes:
    """Return a graph whose nodes follow each other in a circle."""
    nodes_ = {
        f"n{i}": {"type": "Add", "inputs": {"left": f"$n{(i + 1) % count}.value", "right": 1}} for i in range(count)
    }
    return json.dumps({"graph": {"nova": 1, "nodes": nodes_, "outputs": {"x": "$n0.value"}}}).encode()


def valued(value: str) -> bytes:
    """Return a graph with a literal as it is written."""
    text = '{"graph":{"nova":1,"nodes":{"n":{"type":"Number","inputs":{"value":VALUE}}},"outputs":{"x":"$n.value"}}}'
    return text.replace("VALUE", value).encode()


MONSTERS = {
    "deep lists": nested(100_000, "[", "]"),
    "deep mappings": nested(100_000, '{"a":', "}"),
    "deep graph": b'{"graph":' + nested(50_000, '{"nodes":', "}") + b"}",
    "lists in a literal": valued("[" * 300 + "]" * 300),
    "10,000 nodes": many(10_000),
    "a circle": ring(500),
    "a node that follows itself": ring(1),
    "a huge integer": valued("9" * 4000),
    "a huger integer": valued("9" * 100_000),
    "a huge float": valued("1e99999"),
    "not a number": valued("NaN"),
    "infinity": valued("-Infinity"),
    "half a surrogate pair": valued('"\\ud800"'),
    "a zero byte": valued('"\\u0000"'),
    "a key twice": b'{"graph":"fast","graph":"default","inputs":{"steps":0}}',
    "a long key": b'{"graph":{"' + b"k" * 1_000_000 + b'":1}}',
    "many keys": b'{"graph":{' + b",".join(b'"k%d":1' % i for i in range(100_000)) + b"}}",
    "many inputs": b'{"graph":"fast","inputs":{' + b",".join(b'"k%d":1' % i for i in range(100_000)) + b"}}",
    "a long list": valued("[" + "1," * 500_000 + "1]"),
    "yaml with aliases": json.dumps(
        {"yaml": "a: &a [x, x]\n" + "".join(f"b{i}: [*a, *a]\n" for i in range(1000))}
    ).encode(),
    "yaml of many documents": json.dumps({"yaml": "---\n" * 50_000}).encode(),
    "deep yaml": json.dumps({"yaml": "[" * 50_000}).encode(),
    "yaml with tags": json.dumps({"yaml": "!!python/object/apply:os.system ['true']"}).encode(),
}


@pytest.mark.parametrize("name", MONSTERS)
@pytest.mark.parametrize("path", ["/v1/check", "/v1/jobs"])
def test_monsters(service: Service, client: httpx.Client, name: str, path: str) -> None:
    answer = client.post(path, content=MONSTERS[name], headers=JSON)
    assert 400 <= answer.status_code < 500
    assert is_problem(answer, answer.status_code), answer.text[:500]
    assert len(answer.content) < 150_000
    assert service.is_well()


def test_five_thousand_nodes_are_no_monster(client: httpx.Client) -> None:
    answer = client.post("/v1/check", content=many(5000), headers=JSON)
    assert (answer.status_code, answer.json()["nodes"]) == (200, 5000)
