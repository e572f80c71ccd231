"""Hundreds of jobs while the service, the worker, or both are killed again and again."""

import contextlib
import json
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

import httpx

from engine.values import Json
from tests.nova_graph.http.serving import Service, serving, starting
from tests.nova_graph.service.driving import single, trivial

Kill = Literal["service", "worker", "both"]

JOBS: Final = 200
CLIENTS: Final = 6
SEED: Final = 20
LIVES: Final[tuple[tuple[Kill, ...], ...]] = (("worker", "service"), ("both",), ("worker", "service"))
"""What is killed in each life of the service; the last life, after these, goes on to the end."""


class Storm:
    """Hands in every job until it is accepted, and kills processes meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder / "notes"
        self.random = Random(SEED)
        self.accepted: dict[int, str] = {}

    def graph(self, value: int) -> dict[str, Json]:
        match value % 4:
            case 0:
                return trivial(value)
            case 1:
                return single("Draw", size=200 + value, seed=value)
            case 2:
                return single("Note", path=str(self.notes), value=value, wait=0.01)
        return single("Note", path=str(self.notes), value=value, wait=0.002)

    def rage(self, service: Service, most: int, kills: tuple[Kill, ...]) -> None:
        """Hand in jobs up to a number, from several clients; at random moments meanwhile, kill."""
        with ThreadPoolExecutor(CLIENTS) as threads, service.client() as client:
            handing = [threads.submit(self.hand_in, client, value) for value in range(most)]
            for kill in kills:
                time.sleep(self.random.uniform(0.0, 0.4))
                if kill != "service":
                    kill_worker(service)
                if kill != "worker":
                    service.process.kill()
                    service.process.wait()
            for each in handing:
                each.result()

    def hand_in(self, client: httpx.Client, value: int) -> None:
        """Have a job accepted, unless it is already, or the service dies first."""
        if value not in self.accepted:
            with contextlib.suppress(httpx.TransportError):
                headers = {"Idempotency-Key": f"job-{value}"}
                answer = client.post("/v1/jobs", json={"graph": self.graph(value)}, headers=headers)
                assert answer.status_code == 202, answer.text
                self.accepted[value] = answer.json()["id"]


def kill_worker(service: Service) -> None:
    """Kill what the service has started, if it has."""
    pid = service.process.pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)


def test_nothing_is_lost_in_a_storm(tmp_path: Path) -> None:
    storm = Storm(tmp_path)
    for life, kills in enumerate(LIVES, start=1):
        # In every other life, jobs come before the worker has started.
        with (serving if life % 2 else starting)(tmp_path) as service:
            storm.rage(service, JOBS * life // len(LIVES), kills)
    with serving(tmp_path) as service, service.client() as client:
        storm.rage(service, JOBS, ())
        assert len(set(storm.accepted.values())) == len(storm.accepted) == JOBS
        ended = {value: end_of(client, job_id) for value, job_id in storm.accepted.items()}
        # Not one more than were handed in, however often each was.
        assert all_ids(client) == set(storm.accepted.values())
        ran = Counter(tuple(line.split()[:2]) for line in storm.notes.read_text().splitlines())
        for value, job in ended.items():
            check_end(client, value, job, ran)
        assert sum(job["state"] == "done" for job in ended.values()) > JOBS * 3 // 4
        load = client.get("/metrics").text
        totals = {state: f'nova_jobs{{state="{state}"}} ' for state in ("queued", "running")}
        assert all(f"{start}0.0" in load for start in totals.values())
    check_workers(storm.notes)


def end_of(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Wait for a job's end."""
    job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}", params={"wait": 60}).json()
    assert job["state"] in ("done", "failed"), job
    return job


def all_ids(client: httpx.Client) -> set[str]:
    """Return the ids of all jobs there are."""
    found: list[str] = []
    page = "/v1/jobs?limit=100"
    while page:
        tree = client.get(page).json()
        found += [job["id"] for job in tree["jobs"]]
        page = tree["next"]
    assert len(found) == len(set(found))
    return set(found)


def check_end(client: httpx.Client, value: int, job: dict[str, Any], ran: "Counter[tuple[str, ...]]") -> None:
    """Check that a job ended once, as it should, and that its node ran no more often than the job was begun."""
    lines = client.get(job["events_url"]).text.splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [event["event"] for event in events].count("done") == 1
    assert events[-1]["event"] == "done"
    # The very first time is counted together with its first event: a kill in between leaves it uncounted.
    assert ran["end", str(value)] <= ran["begin", str(value)] <= job["attempts"] + 1
    if job["state"] == "failed":
        assert job["error"].startswith(("the worker was killed by signal 9", "the service stopped"))
    elif value % 4 == 0:
        assert events[-1]["outputs"] == {"result": 3 * value + 4}
    elif value % 4 == 1:
        (image,) = job["images"]
        assert client.get(image).content == bytes([value % 256]) * (200 + value)
    else:
        assert ran["end", str(value)] >= 1


def check_workers(notes: Path) -> None:
    """Check that no worker was still at work once the next had begun."""
    workers = [line.split()[2] for line in notes.read_text().splitlines()]
    changes = [pid for pid, before in zip(workers, ["", *workers], strict=False) if pid != before]
    assert len(changes) == len(set(changes))
