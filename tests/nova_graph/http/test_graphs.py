"""Checks, plans, and what there is to work with."""

import httpx
import pytest

from tests.nova_graph.http.serving import ROOT, adding, handed_in, is_problem, one, wait_until_stored

YAML = {"Content-Type": "application/yaml"}
DEFAULT = ROOT / "graphs" / "default.yaml"


def test_a_graph_file_is_checked_as_it_is(client: httpx.Client) -> None:
    answer = client.post("/v1/check", content=DEFAULT.read_bytes(), headers=YAML)
    assert answer.status_code == 200
    assert answer.json()["warnings"] == []
    assert answer.json()["nodes"] > 8


def test_mistakes_have_their_places_in_yaml(client: httpx.Client) -> None:
    text = "nova: 1\nnodes:\n  a: {type: Numbr, inputs: {value: 1}}\n  b: {type: Number, inputs: {valu: 1}}\n"
    text += "outputs: {a: $a.value, b: $b.value}\n"
    for answer in (
        client.post("/v1/check", content=text, headers=YAML),
        client.post("/v1/check", json={"yaml": text}),
        client.post("/v1/plan", json={"yaml": text}),
        client.post("/v1/jobs", json={"yaml": text}),
    ):
        assert is_problem(answer, 422)
        problems = answer.json()["problems"]
        assert (problems[0]["line"], problems[0]["column"]) == (3, 13)
        assert 'did you mean "Number"?' in problems[0]["message"]
        assert any(problem["line"] == 4 for problem in problems)


def test_mistakes_have_their_paths_in_json(client: httpx.Client) -> None:
    answer = client.post("/v1/check", json={"graph": one("Number", value="one")})
    assert is_problem(answer, 422)
    assert answer.json()["problems"][0]["message"].startswith("nodes.it.inputs.value: ")


def test_a_warning_is_told(client: httpx.Client) -> None:
    text = "nova: 1\nnodes:\n  a: {type: Fail, inputs: {text: one}}\n  b:\n    type: Fail\n    inputs:\n"
    text += "      text: blue #hair\noutputs: {a: $a.value, b: $b.value}\n"
    answer = client.post("/v1/check", content=text, headers=YAML)
    assert answer.status_code == 200
    assert answer.json()["warnings"][0]["line"] == 7


def test_inputs_are_checked_with_a_graph(client: httpx.Client) -> None:
    assert client.post("/v1/check", json={"graph": "default", "inputs": {"steps": 5}}).status_code == 200
    wrong = client.post("/v1/check", json={"graph": "default", "inputs": {"steps": 0, "stepps": 1}})
    assert is_problem(wrong, 422)
    assert len(wrong.json()["problems"]) == 2


def test_a_plan_says_what_would_run(client: httpx.Client) -> None:
    plan = client.post("/v1/plan", json={"graph": adding(60)}).json()
    assert (plan["nodes"], plan["to_run"], plan["cached"], plan["downloads"]) == (2, 2, 0, [])
    handed_in(client, one("Kept", value=61))
    wait_until_stored(client, one("Kept", value=61))
    plan = client.post("/v1/plan", json={"graph": one("Kept", value=61)}).json()
    assert (plan["to_run"], plan["cached"]) == (0, 1)
    assert plan["steps"][0]["status"] in ("memory", "disk")


def test_the_library(client: httpx.Client) -> None:
    graphs = {graph["name"]: graph for graph in client.get("/v1/graphs").json()["graphs"]}
    assert {"default", "fast", "img2img"} <= set(graphs)
    assert not any("parts" in name for name in graphs)
    assert graphs["default"]["description"]
    schema = client.get(graphs["default"]["schema_url"]).json()
    assert list(schema["properties"]) == graphs["default"]["inputs"]
    assert schema["properties"]["steps"]["maximum"] == 150
    assert is_problem(client.get("/v1/graphs/defalt/schema"), 404)
    assert "did you mean default?" in client.get("/v1/graphs/defalt/schema").json()["detail"]


def test_whoever_opens_the_address_of_the_service_is_told_where_to_go(client: httpx.Client) -> None:
    answer = client.get("/")
    assert is_problem(answer, 404)
    assert "POST /predict" in answer.json()["hint"]
    assert "hint" not in client.get("/v1/jobs/nobody").json()


def test_the_node_types(client: httpx.Client) -> None:
    nodes = {node["type"]: node for node in client.get("/v1/nodes").json()["nodes"]}
    assert {"Sampler", "Serializer", "Add"} <= set(nodes)
    ports = {port["name"]: port for port in nodes["Sampler"]["inputs"]}
    assert (ports["steps"]["type"], ports["steps"]["default"], ports["steps"]["required"]) == ("integer", 28, False)
    assert ports["model"]["required"]


@pytest.mark.parametrize("path", ["/v1/check", "/v1/plan", "/v1/jobs"])
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff\xfe{", "application/json", 400),
        (b"\xff", "application/yaml", 400),
        (b"{}", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"graph": 1}', "application/json", 422),
        (b'{"graph": ""}', "application/json", 422),
        (b'{"graph": "default", "yaml": "nova: 1"}', "application/json", 422),
        (b'{"graph": "default", "inputs": []}', "application/json", 422),
        (b'{"graph": "default", "inputs": {"seed": NaN}}', "application/json", 422),
        (b'{"graph": "default", "more": 1}', "application/json", 422),
        (b'{"graph": "fast", "graph": "default"}', "application/json", 422),
        (b'{"graph": "default", "inputs": {"steps": 4, "st\\u0065ps": 5}}', "application/json", 422),
        (b'{"graph": "nowhere"}', "application/json", 404),
        (b'{"graph": "default"}', "text/plain", 415),
        (b'{"graph": "default"}', "application/x-www-form-urlencoded", 415),
        (b'{"graph": "default"}', "application/jsonp", 415),
        (b'{"graph": "default"}', "", 415),
    ],
)
def test_a_body_that_is_wrong(client: httpx.Client, path: str, body: bytes, kind: str, status: int) -> None:
    headers = {"Content-Type": kind} if kind else {}
    assert is_problem(client.post(path, content=body, headers=headers), status)
