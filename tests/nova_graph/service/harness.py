"""A service without HTTP: takes commands as JSON lines, answers with JSON lines, stops at SIGTERM.

{"id": 1, "submit": {graph}, "key": "k"}   -> {"id": 1, "job": "..."} once it is durable, or {"id": 1, "error": "..."}
{"id": 2, "wait": "job", "seconds": 5}     -> {"id": 2, "state": "done", "job": "..."}
{"id": 3, "cancel": "job"}                 -> {"id": 3, "state": ...}
{"id": 4, "most": 100000}                  -> files may not grow beyond so many bytes from now on; null: they may again
{"id": 5, "worker": true}                  -> {"id": 5, "pid": 123}
"""

import asyncio
import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from nova_graph.service.backend import Job, QueueFull, StoreFull
from nova_graph.service.bounds import Bounds
from nova_graph.service.local import LocalBackend, start_backend
from nova_graph.service.supervisor import WorkerCommand
from tests.nova_graph.service.driving import OWNER, environ, new_job, until_ready


async def serve(folder: Path, bounds: Bounds) -> None:
    """Serve until SIGTERM, or until nobody is left who could ask."""
    command = WorkerCommand(environ=environ(folder))
    backend = await start_backend(folder / "service", command, bounds=bounds)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    say(id=0, pid=backend.worker_pid)
    serving = asyncio.create_task(take_all(backend, stop))
    await stop.wait()
    await backend.close()
    serving.cancel()


async def take_all(backend: LocalBackend, stop: asyncio.Event) -> None:
    """Take commands."""
    reader = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        task = asyncio.create_task(take(backend, json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    stop.set()


async def take(backend: LocalBackend, command: dict[str, Any]) -> None:
    """Do one command."""
    found: Job | None = None
    try:
        match command:
            case {"submit": graph, "key": key}:
                job = new_job(graph, idempotency_key=key, seconds=command.get("seconds", 60.0))
                found = await backend.submit(job)
            case {"wait": job_id, "seconds": seconds}:
                found = await backend.wait(OWNER, job_id, seconds)
            case {"cancel": job_id}:
                found = await backend.cancel(OWNER, job_id)
            case {"most": most}:
                _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard if most is None else most, hard))
            case {"worker": True}:
                await until_ready(backend)
                say(id=command["id"], pid=backend.worker_pid)
                return
    except (QueueFull, StoreFull) as error:
        say(id=command["id"], error=f"{type(error).__name__}: {error}")
    else:
        say(id=command["id"], job=found.id if found else None, state=found.state if found else None)


def say(**words: Any) -> None:
    """Write an answer."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Bounds(**json.loads(sys.argv[2]))))
