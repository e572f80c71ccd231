"""What the service tells of itself."""

import re

import httpx

from tests.nova_graph.http.serving import adding, handed_in, one


def test_the_timing_report_is_a_table_or_json(client: httpx.Client) -> None:
    jobs = [handed_in(client, one("Fail")), handed_in(client, one("Wait", steps=2, pause=0.05))]
    text = client.get("/timing-report")
    assert text.headers["content-type"].startswith("text/plain")
    head, newest = text.text.splitlines()[:2]
    assert head.split() == ["number", "job", "graph", "state", "waited", "took", "cold", "ran", "cached"]
    assert newest.split()[:4] == [str(jobs[1]["number"]), jobs[1]["id"], "custom", "done"]
    assert re.search(r"^Median of jobs that are done: waited [0-9.]+ s, took [0-9.]+ s[.]$", text.text, re.MULTILINE)
    answer = client.get("/timing-report", headers={"Accept": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    report = answer.json()
    rows = {row["job"]: row for row in report["jobs"]}
    assert [rows[job["id"]]["state"] for job in jobs] == ["failed", "done"]
    assert rows[jobs[1]["id"]]["took"] >= 0.1
    assert (rows[jobs[1]["id"]]["ran"], rows[jobs[1]["id"]]["cached"]) == (1, 0)
    assert report["median_took"] > 0
    assert report["median_waited"] >= 0


def samples(client: httpx.Client) -> dict[str, float]:
    """Return the figures for Prometheus."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_the_metrics_count_requests_and_jobs(client: httpx.Client) -> None:
    before = samples(client)
    job = handed_in(client, adding(79))
    client.get("/v1/jobs/nobody")
    after = samples(client)
    grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
    assert job["state"] == "done"
    assert grown['nova_jobs{state="done"}'] >= 1
    assert grown['nova_http_requests_total{method="POST",route="/v1/jobs",status="202"}'] == 1
    assert grown['nova_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"}'] == 1
    assert grown['nova_http_seconds_count{route="/v1/jobs"}'] == 1
    assert not any("nobody" in name for name in after), "an address that anybody makes up is no label"
