"""The description of the API is complete and true."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nova_graph.http.predict import ALIASES
from tests.nova_graph.http.conftest import KEYS
from tests.nova_graph.http.serving import Service, adding, handed_in, wait_until_ready

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SMALL = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
PATHS = {
    "/predict": {"post"},
    "/v1/jobs": {"get", "post"},
    "/v1/jobs/{job_id}": {"get", "delete"},
    "/v1/jobs/{job_id}/events": {"get"},
    "/v1/jobs/{job_id}/images/{index}": {"get"},
    "/v1/check": {"post"},
    "/v1/plan": {"post"},
    "/v1/graphs": {"get"},
    "/v1/graphs/{name}/schema": {"get"},
    "/v1/nodes": {"get"},
    "/v1/files": {"get", "post"},
    "/v1/files/{name}": {"delete"},
    "/v1/webhook-secret": {"get"},
    "/timing-report": {"get"},
    "/health": {"get"},
    "/ready": {"get"},
    "/metrics": {"get"},
}


@pytest.fixture(name="description")
def _description(client: httpx.Client) -> dict[str, Any]:
    tree: dict[str, Any] = client.get("/openapi.json").json()
    return tree


def operations(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Iterate over everything that can be asked for."""
    for methods in tree["paths"].values():
        yield from methods.values()


def test_every_path_is_described(description: dict[str, Any]) -> None:
    assert {path: set(methods) for path, methods in description["paths"].items()} == PATHS
    assert all(operation["description"] for operation in operations(description))


def test_references_lead_somewhere(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    for part in json.dumps(description).split('"$ref": "')[1:]:
        reference = part.partition('"')[0]
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_every_problem_is_described_as_one(description: dict[str, Any]) -> None:
    for operation in operations(description):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (operation["operationId"], status)


def test_keys_are_described_where_they_are_needed(keyed: Service, description: dict[str, Any]) -> None:
    assert "securitySchemes" not in description["components"]
    assert not any("security" in operation for operation in operations(description))
    with keyed.client() as nobody:
        guarded = nobody.get("/openapi.json").json()
    assert guarded["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for operation in operations(guarded):
        if operation["operationId"].split("_")[0] not in ("health", "ready"):
            assert operation["security"] == [{"HTTPBearer": []}]


def test_predict_takes_what_the_default_graph_takes(client: httpx.Client, description: dict[str, Any]) -> None:
    schema = client.get("/v1/graphs/default/schema").json()
    fields = description["components"]["schemas"]["Prediction"]["properties"]
    assert {name: fields[name] for name in schema["properties"]} == schema["properties"]
    assert fields["num_inference_steps"] == fields["steps"]
    assert fields["num_outputs"]["maximum"] == 4
    whole = description["components"]["schemas"]["Prediction"]
    for old, real in ALIASES.items():
        value = fields[old]["default"]
        jsonschema.validate({old: value}, whole)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({old: value, real: value}, whole)


def test_a_submission_is_one_graph(description: dict[str, Any]) -> None:
    schema = {**description["components"]["schemas"]["JobSubmission"], "components": description["components"]}
    goods: list[Any] = [{"graph": "default"}, {"graph": {}}, {"yaml": "x", "inputs": {"a": 1}}]
    for good in (*goods, {"graph": "x", "yaml": None}):
        jsonschema.validate(good, schema)
    for bad in ({}, {"graph": "x", "yaml": "y"}, {"graph": None}, {"graph": "x", "more": 1}, {"graph": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


def test_what_every_request_may_meet_is_described(description: dict[str, Any]) -> None:
    for operation in operations(description):
        assert {"400", "401", "403", "421", "429", "431", "503"} <= set(operation["responses"])
    for path in ("/predict", "/v1/jobs", "/v1/files"):
        assert "507" in description["paths"][path]["post"]["responses"]


def explore(
    service: Service, key: str, *, skip: str = "", only: tuple[str, ...] = tuple(PATHS), examples: int = 6
) -> list[str]:
    """Ask for everything in every way that the description suggests, and in others; return what was not as it says."""
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    faults: list[str] = []
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]
        if operation.path == skip or operation.path not in only:
            continue

        def probe(case: Any) -> None:
            try:
                case.call_and_validate(headers=headers, checks=CHECKS, timeout=30)
            except FailureGroup as group:
                faults.extend(f"{case.method} {case.formatted_path}: {fault}" for fault in group.exceptions)

        for mode in MODES:
            with suppress(Unsatisfiable):
                settings(SMALL, max_examples=examples)(given(case=operation.as_strategy(generation_mode=mode))(probe))()
    return faults


def test_no_answer_is_undocumented(service: Service, client: httpx.Client) -> None:
    handed_in(client, adding(1000))
    assert explore(service, "", skip="/predict") == []
    assert service.is_well()


def test_no_answer_of_predict_is_undocumented(keyed: Service) -> None:
    with keyed.client(KEYS[0]) as alice:
        faults = explore(keyed, KEYS[0], only=("/predict",))
        for job in alice.get("/v1/jobs", params={"limit": 100}).json()["jobs"]:
            alice.delete(job["status_url"])
            assert alice.get(job["status_url"], params={"wait": 30}).json()["ended_at"]
    assert faults == []
    assert keyed.is_well()


def test_no_answer_to_a_wrong_key_is_undocumented(keyed: Service) -> None:
    wait_until_ready(keyed)
    assert explore(keyed, "wrong-key-0123456789", examples=1) == []
    with keyed.client(KEYS[0]) as alice:
        assert alice.get("/v1/jobs").status_code == 200
