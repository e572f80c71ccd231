"""Jobs from hand-in to pictures."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.nova_graph.http.serving import (
    Service,
    adding,
    drawing,
    events_of,
    handed_in,
    is_problem,
    one,
    wait_until_stored,
    waiting,
)


def test_a_graph_is_run_and_its_job_can_be_looked_at(client: httpx.Client) -> None:
    answer = client.post("/v1/jobs", json={"graph": adding(41_000)})
    assert answer.status_code == 202
    accepted = answer.json()
    assert answer.headers["location"] == accepted["status_url"] == f"/v1/jobs/{accepted['id']}"
    assert [(step["node"], step["status"]) for step in accepted["plan"]["steps"]] == [("number", "run"), ("sum", "run")]
    job = client.get(accepted["status_url"], params={"wait": 30}).json()
    assert (job["state"], job["ran"], job["error"], job["position"]) == ("done", 2, None, None)
    assert job["accepted_at"] <= job["started_at"] <= job["ended_at"]
    assert client.get("/v1/jobs", params={"limit": 1}).json()["jobs"] == [job]


def test_a_full_hit_is_answered_at_once_by_the_answering_process(client: httpx.Client) -> None:
    first = handed_in(client, one("Kept", value=90))
    assert (first["state"], first["ran"], first["attempts"]) == ("done", 1, 1)
    wait_until_stored(client, one("Kept", value=90))
    again = client.post("/v1/jobs", json={"graph": one("Kept", value=90)}).json()
    assert (again["state"], again["ran"], again["cached"], again["attempts"]) == ("done", 0, 1, 0)
    assert again["id"] != first["id"]


def test_the_pictures_of_a_job(client: httpx.Client) -> None:
    job = handed_in(client, drawing(count=2, size=50))
    assert job["images"] == [f"/v1/jobs/{job['id']}/images/{index}" for index in (0, 1)]
    answers = [client.get(url) for url in job["images"]]
    assert [len(answer.content) for answer in answers] == [50, 51]
    assert {answer.headers["content-type"] for answer in answers} == {"image/png"}
    assert {answer.headers["x-content-type-options"] for answer in answers} == {"nosniff"}
    assert is_problem(client.get(f"/v1/jobs/{job['id']}/images/2"), 404)
    assert is_problem(client.get(f"/v1/jobs/{job['id']}/images/-1"), 422)


def test_a_picture_that_was_damaged_is_not_shown(service: Service, client: httpx.Client) -> None:
    job = handed_in(client, drawing(size=77))
    name = hashlib.sha256(client.get(job["images"][0]).content).hexdigest()
    (service.folder / "state" / "jobs" / "blobs" / name[:2] / name).write_bytes(b"damaged")
    gone = client.get(job["images"][0])
    assert is_problem(gone, 404)
    assert "not there any more, or damaged" in gone.json()["detail"]


def test_a_job_that_fails_says_why(client: httpx.Client) -> None:
    job = handed_in(client, one("Fail", text="no such luck"))
    assert job["state"] == "failed"
    assert "no such luck" in job["error"]
    assert job["images"] == []


def test_an_error_shows_no_path_of_the_server(service: Service, client: httpx.Client) -> None:
    where = service.folder / "cache" / "größer" / "weights.safetensors"
    job = handed_in(client, one("Fail", text=f"cannot open {where}: no such file"))
    assert "cannot open weights.safetensors: no such file" in job["error"]
    errors = [event["error"] for event in events_of(client, job) if "error" in event]
    assert errors
    for error in errors:
        assert "cannot open weights.safetensors: no such file" in error


def test_a_worker_that_dies_takes_only_its_job_along(client: httpx.Client) -> None:
    job = handed_in(client, one("Exit", status=9))
    assert job["state"] == "failed"
    assert job["error"]
    assert client.get("/health").status_code == 200
    assert handed_in(client, adding(77))["state"] == "done"
    assert "nova_worker_restarts 0.0" not in client.get("/metrics").text


def test_a_worker_without_memory_takes_nobody_along(service: Service, client: httpx.Client) -> None:
    jobs = {
        times: handed_in(client, one("Eat", path=str(service.folder / f"eat {times}"), times=times)) for times in (1, 9)
    }
    assert [(job["state"], job["attempts"]) for job in jobs.values()] == [("done", 2), ("failed", 2)]
    assert "MemoryError" in jobs[9]["error"]
    reasons = [
        event["reason"] for event in events_of(client, jobs[1]) if event["event"] == "queued" and "reason" in event
    ]
    assert len(reasons) == 1
    assert reasons[0].endswith("once more, in tiles")
    assert client.get("/health").status_code == 200
    assert handed_in(client, adding(78))["state"] == "done"


def test_cancel_stops_a_running_and_a_waiting_job(client: httpx.Client) -> None:
    running = client.post("/v1/jobs", json={"graph": waiting()}).json()
    queued = client.post("/v1/jobs", json={"graph": waiting()}).json()
    assert is_problem(client.get(f"/v1/jobs/{queued['id']}/images/0"), 409)
    for job in (queued, running):
        assert client.delete(job["status_url"]).status_code == 202
        ended = client.get(job["status_url"], params={"wait": 30}).json()
        assert ended["state"] == "cancelled"
        assert client.delete(job["status_url"]).status_code == 200
        assert client.get(job["status_url"]).json() == ended


def test_an_idempotency_key_makes_one_job_of_many_requests(service: Service) -> None:
    def send(_: int) -> str:
        with service.client() as client:
            headers = {"Idempotency-Key": "the-same"}
            answer = client.post("/v1/jobs", json={"graph": adding(4711)}, headers=headers)
            return str(answer.json()["id"])

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(send, range(16)))) == 1


def test_an_idempotency_key_is_not_for_another_job(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "another"}
    inputs = {"steps": 1, "prompt": "a cat"}
    first = client.post("/v1/jobs", json={"graph": "fast", "inputs": inputs}, headers=headers)
    assert first.status_code == 202
    assert client.delete(first.json()["status_url"]).status_code in (200, 202)
    again = client.post("/v1/jobs", json={"graph": "fast", "inputs": inputs}, headers=headers)
    assert again.json()["id"] == first.json()["id"]
    for changed in ({"graph": "fast", "inputs": {**inputs, "prompt": "a dog"}}, {"graph": adding(1)}):
        assert is_problem(client.post("/v1/jobs", json=changed, headers=headers), 422)


def test_an_idempotency_key_is_for_one_graph(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "a-whole-graph"}
    first = client.post("/v1/jobs", json={"graph": adding(5, 6)}, headers=headers)
    turned = {"graph": dict(reversed(adding(5, 6).items())), "inputs": {}}
    again = client.post("/v1/jobs", json=turned, headers=headers)
    assert (again.status_code, again.json()["id"], again.json()["plan"]) == (202, first.json()["id"], None)
    assert is_problem(client.post("/v1/jobs", json={"graph": adding(5, 7)}, headers=headers), 422)


def test_jobs_are_listed_in_pages(client: httpx.Client) -> None:
    made = [handed_in(client, adding(900 + index))["id"] for index in range(3)]
    first = client.get("/v1/jobs", params={"limit": 2}).json()
    second = client.get(first["next"]).json()
    assert [job["id"] for job in (*first["jobs"], *second["jobs"])][:3] == made[::-1]


@pytest.mark.parametrize("path", ["", "/events", "/images/0"])
def test_there_is_nothing_at_a_wrong_id(client: httpx.Client, path: str) -> None:
    assert is_problem(client.get(f"/v1/jobs/nobody{path}"), 404)
    assert is_problem(client.get(f"/v1/jobs/no.body{path}"), 422)
    assert is_problem(client.delete("/v1/jobs/nobody"), 404)


def test_what_can_be_done_at_a_place_is_said(client: httpx.Client) -> None:
    for path, allowed in (("/v1/jobs", "GET, POST"), ("/v1/jobs/x", "DELETE, GET"), ("/predict", "POST")):
        for method in ("PUT", "PATCH", "HEAD", "TRACE"):
            answer = client.request(method, path)
            assert answer.status_code == 405
            assert answer.headers["allow"] == allowed


def test_a_hundred_clients_at_once(service: Service) -> None:
    def use(index: int) -> tuple[str, int]:
        with service.client() as client:
            job = handed_in(client, adding(10_000 + index), wait=60)
            last = client.get(job["events_url"]).text
            return job["state"], last.count(f'"outputs":{{"sum":{10_001 + index}}}')

    with ThreadPoolExecutor(100) as threads:
        assert set(threads.map(use, range(100))) == {("done", 1)}
    assert service.is_well()
