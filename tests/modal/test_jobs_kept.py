"""What is kept of jobs while containers come and go: records, idempotency keys, webhooks."""

import json

import httpx

from tests.modal.cloud import Cloud
from tests.modal.control_plane.plane import ControlPlane
from tests.modal.service import LONG, SMALL, begun, state
from tests.nova_graph.http.test_webhooks import receiving

RECORDS = "di-nova-anime-ilxl-jobs"


def test_a_call_that_is_refused_leaves_neither_a_job_nor_its_key(http: httpx.Client, plane: ControlPlane) -> None:
    body = {"graph": "default", "inputs": {**SMALL, "seed": 41}}
    header = {"Idempotency-Key": "refused-once"}
    http.get("/v1/jobs")
    before = len(plane.dicts.dicts[RECORDS])
    plane.calls.is_refusing = True
    try:
        refused = http.post("/v1/jobs", json=body, headers=header)
    finally:
        plane.calls.is_refusing = False
    assert refused.status_code == 500, refused.text
    assert len(plane.dicts.dicts[RECORDS]) == before
    taken = http.post("/v1/jobs", json=body, headers=header)
    assert taken.status_code == 202, taken.text


def test_only_records_are_read_to_list_jobs(http: httpx.Client, plane: ControlPlane) -> None:
    asked = len(plane.requests("DictContents"))
    listed = http.get("/v1/jobs", params={"limit": 100}).json()["jobs"]
    assert {request.dict_id for request in plane.requests("DictContents")[asked:]} == {RECORDS}
    assert len(plane.dicts.dicts[RECORDS]) >= len(listed) > 0
    assert not any(b"PNG" in value for value in plane.dicts.dicts[RECORDS].values())


ORPHAN = """
import modal
from nova_graph.modal.records import from_entry
records = modal.Dict.from_name("nova-anime-ilxl-jobs")
entry = next(iter(records.values()))
orphan = {**entry, "pieces": 0, "job": {**entry["job"], "id": "an-orphan", "state": "queued", "ended": None}}
from_entry(orphan)
records.put("an-orphan", orphan)
"""


def test_a_job_that_was_never_handed_on_can_be_cancelled(http: httpx.Client, deployed: Cloud) -> None:
    deployed.python(ORPHAN)
    assert state(http, "an-orphan") == "queued"
    assert http.delete("/v1/jobs/an-orphan").json()["state"] == "cancelled"
    assert '"cancelled"' in http.get("/v1/jobs/an-orphan/events").text


def test_a_webhook_is_called_once_also_when_the_web_container_is_gone(http: httpx.Client, plane: ControlPlane) -> None:
    with receiving(204) as receiver:
        inputs = {**SMALL, "steps": 20, "seed": 42}
        answer = http.post("/v1/jobs", json={"graph": "default", "inputs": inputs, "webhook_url": receiver.url})
        first = str(answer.json()["id"])
        plane.kill("web")
        _, body = receiver.calls.get(timeout=60)
        told = json.loads(body)
        assert (told["type"], told["data"]["id"]) == ("job.done", first)
        again = http.post("/v1/jobs", json={"graph": "default", "inputs": inputs, "webhook_url": receiver.url})
        _, body = receiver.calls.get(timeout=60)
        assert json.loads(body)["data"]["id"] == again.json()["id"], "a full hit is told too, and nothing twice"
        assert receiver.calls.empty()


def test_a_webhook_is_called_for_a_job_that_is_cancelled(http: httpx.Client, plane: ControlPlane) -> None:
    with receiving(204) as receiver:
        inputs = {**LONG, "seed": 43}
        answer = http.post("/v1/jobs", json={"graph": "default", "inputs": inputs, "webhook_url": receiver.url})
        begun(http, plane, str(answer.json()["id"]))
        http.delete(f"/v1/jobs/{answer.json()['id']}")
        _, body = receiver.calls.get(timeout=60)
        assert json.loads(body)["type"] == "job.cancelled"
