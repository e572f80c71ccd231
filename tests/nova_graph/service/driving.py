"""Backends and graphs for tests; every worker is a real process with the nodes of `nodes/`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine.values import Json
from nova_graph.service.backend import Job, NewJob
from nova_graph.service.bounds import Bounds, Retention
from nova_graph.service.local import LocalBackend, start_backend
from nova_graph.service.supervisor import WorkerCommand

NODES = Path(__file__).parent / "nodes"
OWNER = "somebody"


def environ(folder: Path) -> dict[str, str]:
    """Return the environment of a worker whose cache lies in a folder."""
    return {
        **os.environ,
        "NOVA_NODES": str(NODES),
        "NOVA_CACHE_DIR": str(folder / "cache"),
        "NOVA_DEVICE": "cpu",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


@asynccontextmanager
async def running(
    folder: Path, bounds: Bounds | None = None, retention: Retention | None = None
) -> AsyncIterator[LocalBackend]:
    """Run a backend whose files lie in a folder."""
    command = WorkerCommand(environ=environ(folder))
    async with await start_backend(folder / "service", command, bounds=bounds, retention=retention) as backend:
        yield backend


async def until_ready(backend: LocalBackend) -> None:
    """Wait until the worker takes jobs."""
    while not await backend.ready():
        await asyncio.sleep(0.01)


def single(kind: str, **inputs: Json) -> dict[str, Json]:
    """Return a graph of one node, whose first output is the graph's."""
    port = "file" if kind == "Draw" else "value"
    return {"nova": 1, "nodes": {"one": {"type": kind, "inputs": inputs}}, "outputs": {"result": f"$one.{port}"}}


def trivial(value: int) -> dict[str, Json]:
    """Return a graph of five nodes; its result is 3 * value + 4."""
    nodes: dict[str, Json] = {
        "a": {"type": "Number", "inputs": {"value": value}},
        "b": {"type": "Number", "inputs": {"value": value + 1}},
        "c": {"type": "Add", "inputs": {"left": "$a.value", "right": "$b.value"}},
        "d": {"type": "Number", "inputs": {"value": 3}},
        "e": {"type": "Add", "inputs": {"left": "$c.value", "right": "$d.value"}},
        "f": {"type": "Add", "inputs": {"left": "$e.value", "right": "$a.value"}},
    }
    return {"nova": 1, "nodes": nodes, "outputs": {"result": "$f.value"}}


def new_job(document: dict[str, Json], **words: Any) -> NewJob:
    """Return a job as the HTTP application would hand it in."""
    return NewJob(**{"owner": OWNER, "graph": "custom", "document": document, "inputs": {}, **words})


async def run(backend: LocalBackend, document: dict[str, Json], **words: Any) -> Job:
    """Run a job to its end."""
    job = await backend.submit(new_job(document, **words))
    return await ended(backend, job)


async def ended(backend: LocalBackend, job: Job, seconds: float = 60.0) -> Job:
    """Wait for a job's end."""
    found = await backend.wait(job.owner, job.id, seconds)
    assert found is not None
    assert found.ended is not None, f"not over after {seconds} s: {found}"
    return found


async def told(backend: LocalBackend, job: Job, after: int = 0) -> list[dict[str, Any]]:
    """Return the events of a job until it is over, parsed; their numbers have no gaps."""
    events: list[dict[str, Any]] = []
    async for event in backend.events(job.owner, job.id, after):
        assert event.number == after + len(events) + 1
        events.append(json.loads(event.data))
    return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Return the names of events."""
    return [event["event"] for event in events]


async def until_lines(path: Path, count: int) -> list[str]:
    """Wait until a file has so many lines."""
    while True:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count:
            return lines
        await asyncio.sleep(0.01)


def result_of(events: list[Mapping[str, Any]] | list[dict[str, Any]]) -> object:
    """Return the plain output `result` that the last event tells."""
    return events[-1]["outputs"]["result"]
