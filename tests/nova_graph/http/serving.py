"""A real service in a process of its own, on a free port of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[3]
NODES = ROOT / "tests" / "nova_graph" / "service" / "nodes"
PATIENCE = 60.0


@dataclass(frozen=True)
class Service:
    """A running service; `folder` holds all that it writes."""

    url: str
    process: "subprocess.Popen[str]"
    folder: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def client(self, key: str = "", **headers: str) -> httpx.Client:
        """Return a client; close it."""
        authorization = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers={**authorization, **headers}, timeout=PATIENCE, trust_env=False)

    def is_well(self) -> bool:
        """Tell whether it answers, and has never answered with a fault of its own."""
        answer = httpx.get(f"{self.url}/health", timeout=PATIENCE, trust_env=False)
        return answer.status_code == 200 and self.process.poll() is None and "Traceback" not in self.log


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Service]:
    """Run a service in a folder, with further environment variables."""
    with starting(folder, **settings) as service:
        wait_until_ready(service)
        yield service


@contextmanager
def starting(folder: Path, **settings: str) -> Iterator[Service]:
    """Run a service whose worker need not be ready yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "nova_graph", "serve", "--port", "0", "--log-level", "info"],
            cwd=folder,
            env=environment(folder, **settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "Listening on " in line, (folder / "log").read_text(encoding="utf-8")
            yield Service(line.split()[2], process, folder)
        finally:
            stop(process)


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a service that knows nothing of this machine's own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "default",
        "NOVA_CACHE_DIR": str(folder / "cache"),
        "NOVA_STATE_DIR": str(folder / "state"),
        "NOVA_NODES": str(NODES),
        "NOVA_DEVICE": "cpu",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        **settings,
    }


def stop(process: "subprocess.Popen[str]") -> None:
    """End a service as an operator would, unless it has ended."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def wait_until_ready(service: Service) -> None:
    """Wait until its worker takes jobs."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if httpx.get(f"{service.url}/ready", timeout=5, trust_env=False).status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError(service.log)


Tree = dict[str, Any]


def adding(left: int, right: int = 1) -> Tree:
    """Return a graph that adds two numbers."""
    nodes = {
        "number": {"type": "Number", "inputs": {"value": left}},
        "sum": {"type": "Add", "inputs": {"left": "$number.value", "right": right}},
    }
    return {"nova": 1, "nodes": nodes, "outputs": {"sum": "$sum.value"}}


def one(node: str, **inputs: Any) -> Tree:
    """Return a graph of one node that gives a number."""
    return {"nova": 1, "nodes": {"it": {"type": node, "inputs": inputs}}, "outputs": {"it": "$it.value"}}


def waiting() -> Tree:
    """Return a graph that takes longer than any test."""
    return one("Wait", steps=90, pause=1.0)


def drawing(count: int = 1, size: int = 100) -> Tree:
    """Return a graph that gives files like pictures."""
    inputs = {"count": count, "size": size}
    return {"nova": 1, "nodes": {"draw": {"type": "Draw", "inputs": inputs}}, "outputs": {"file": "$draw.file"}}


def handed_in(client: httpx.Client, graph: Tree | str, wait: int = 30, **body: Any) -> Tree:
    """Hand a graph in, wait for it to be over, and return the job."""
    answer = client.post("/v1/jobs", json={"graph": graph, **body}, params={"wait": wait})
    assert answer.status_code == 202, answer.text
    job: Tree = answer.json()
    return job


def wait_until_stored(client: httpx.Client, graph: Tree | str, **inputs: Any) -> None:
    """Wait until the results of a job are on the disk: the worker writes them there soon after the job's end."""
    while client.post("/v1/plan", json={"graph": graph, "inputs": inputs}).json()["to_run"]:
        time.sleep(0.01)


def events_of(client: httpx.Client, job: Tree) -> list[Tree]:
    """Return the events of a job that is over."""
    lines = client.get(job["events_url"]).text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def is_problem(answer: httpx.Response, status: int) -> bool:
    """Tell whether an answer is a problem as it should be, without a word of where it comes from."""
    if answer.status_code != status or answer.headers["content-type"] != "application/problem+json":
        return False
    tree = answer.json()
    shape = tree["status"] == status and bool(tree["type"]) and bool(tree["title"]) and bool(tree["detail"])
    return shape and not any(word in answer.text for word in ("Traceback", 'File "', str(ROOT), ".py"))
