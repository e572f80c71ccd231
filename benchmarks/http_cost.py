"""`make bench-http`: what the service adds to a job, measured over loopback from another process."""

import http.client
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results" / "http.json"
ROUNDS = 5
"""Of several rounds the least disturbed counts: the machine has other work too."""

REPEATS = 100
CROWD = 200
CLIENTS = 4
LARGE = 5000

Tree = dict[str, Any]


class Peer:
    """One connection to the service, kept open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post(self, path: str, graph: Tree) -> Tree:
        """Send a graph; returns the answer."""
        return self._ask("POST", path, json.dumps({"graph": graph}))

    def get(self, path: str) -> Tree:
        """Return what is there."""
        return self._ask("GET", path)

    def predict(self, fields: Tree) -> bytes:
        """Return a picture of the default graph."""
        return self._read("POST", "/predict", json.dumps(fields))

    def _ask(self, method: str, path: str, body: str | None = None) -> Tree:
        tree: Tree = json.loads(self._read(method, path, body))
        return tree

    def _read(self, method: str, path: str, body: str | None = None) -> bytes:
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = self._connection.getresponse()
        data = answer.read()
        if not http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return data


def main() -> None:
    """Measure, print a table, keep the figures."""
    with serving() as port:
        figures = measure(port)
    table = Table(title=f"The service over loopback: medians of the calmest of {ROUNDS} rounds")
    for column in ("", "measured", "aim", "ComfyUI"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("5 nodes, POST to done, new", f"{figures['new_ms']:.2f} ms", "4 ms", "6.3 ms")
    table.add_row("5 nodes, POST to done, cached", f"{figures['cached_ms']:.2f} ms", "1.5 ms", "2.3 ms")
    table.add_row(f"{CROWD} queued jobs", f"{figures['jobs_per_second']:.0f}/s", "600/s", "300/s")
    table.add_row(f"check of {LARGE:,} nodes", f"{figures['check_ms']:.0f} ms", "500 ms", "")
    table.add_row("/predict, a full hit", f"{figures['predict_hit_ms']:.1f} ms", "20 ms", "")
    console = Console()
    console.print(f"Machine: {machine()}\n")
    console.print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine(), **figures}, indent=1) + "\n", encoding="utf-8")
    console.print(f"Figures kept in {RESULTS.relative_to(ROOT)}; ComfyUI's are of a machine of the same kind.")


def measure(port: int) -> dict[str, float]:
    """Return the figures: milliseconds, and jobs per second."""
    peer = Peer(port)
    numbers = itertools.count(1)
    for _ in range(50):
        run(peer, chain(next(numbers)))
    new = calmest_ms(lambda: run(peer, chain(next(numbers))), REPEATS)
    kept = chain(next(numbers))
    run(peer, kept)
    cached = calmest_ms(lambda: run(peer, kept), REPEATS)
    rates = [crowd(port, numbers) for _ in range(ROUNDS)]
    large = chain(0, LARGE)
    # The service has closed the first connection if the crowds took longer than it keeps idle ones.
    fresh = Peer(port)
    check = calmest_ms(lambda: fresh.post("/v1/check", large), 3)
    drawing = {"prompt": "1girl, smile, close-up", "seed": 7, "steps": 4}
    fresh.predict(drawing)
    hit = calmest_ms(lambda: fresh.predict(drawing), 20)
    return {
        "new_ms": new,
        "cached_ms": cached,
        "jobs_per_second": max(rates),
        "check_ms": check,
        "predict_hit_ms": hit,
    }


def run(peer: Peer, graph: Tree) -> None:
    """Have a graph run and wait for its end, in one request."""
    job = peer.post("/v1/jobs?wait=30", graph)
    if job["state"] != "done":
        raise RuntimeError(str(job))


def crowd(port: int, numbers: Iterator[int]) -> float:
    """Hand in many jobs from several clients at once; returns how many were done each second."""
    peers = [Peer(port) for _ in range(CLIENTS)]
    shares = [[chain(next(numbers)) for _ in range(CROWD // CLIENTS)] for _ in peers]

    def hand_in(peer: Peer, graphs: list[Tree]) -> list[str]:
        return [str(peer.post("/v1/jobs", graph)["status_url"]) for graph in graphs]

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        places = list(threads.map(hand_in, peers, shares))
    states = {peers[0].get(f"{urls[-1]}?wait=60")["state"] for urls in places}
    took = time.perf_counter() - began
    if states != {"done"}:
        raise RuntimeError(f"jobs ended as {states}")
    return CROWD / took


def calmest_ms(thing: Callable[[], object], repeats: int) -> float:
    """Return the median time of one call in milliseconds, in the round where that is least."""
    return min(statistics.median(seconds_of(thing) for _ in range(repeats)) for _ in range(ROUNDS)) * 1e3


def seconds_of(thing: Callable[[], object]) -> float:
    """Return how long one call takes."""
    began = time.perf_counter()
    thing()
    return time.perf_counter() - began


def chain(number: int, size: int = 5) -> Tree:
    """Return a graph of nodes in a row; only its end is kept on the disk."""
    nodes: Tree = {"n0": {"type": "Start", "inputs": {"value": number * 1000}}}
    for index in range(1, size - 1):
        nodes[f"n{index}"] = {"type": "Increment", "inputs": {"value": f"$n{index - 1}.value"}}
    nodes["end"] = {"type": "Keep", "inputs": {"value": f"$n{size - 2}.value"}}
    return {"nova": 1, "nodes": nodes, "outputs": {"value": "$end.value"}}


@contextmanager
def serving() -> Iterator[int]:
    """Run a service with nodes that do nothing; gives its port."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"NOVA_CACHE_DIR": f"{folder}/cache", "NOVA_STATE_DIR": f"{folder}/state"}
        environ = {**os.environ, **settings, "NOVA_NODES": str(ROOT / "benchmarks" / "http_nodes")}
        command = [sys.executable, "-m", "nova_graph", "serve", "--port", "0"]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            yield int(line.split()[2].rpartition(":")[2])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


if __name__ == "__main__":
    main()
