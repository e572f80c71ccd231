"""The harness as a process that tests can kill."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


class Gone(Exception):
    """The service died before it answered."""


class Service:
    """One life of the harness."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.worker = 0
        """The first worker's process."""
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {0: asyncio.get_running_loop().create_future()}
        self._reading = asyncio.create_task(self._read())

    async def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and return the answer; raises Gone."""
        number = next(self._numbers)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        assert self.process.stdin is not None
        with suppress(BrokenPipeError, ConnectionResetError):
            self.process.stdin.write(json.dumps({"id": number, **command}).encode() + b"\n")
        if self._reading.done():
            raise Gone
        return await future

    async def worker_pid(self) -> int:
        """Return the process of a worker that takes jobs."""
        return int((await self.ask(worker=True))["pid"])

    async def kill(self) -> None:
        """Kill the service, and only the service, in the middle of whatever it does."""
        self.process.kill()
        await self._over()

    async def stop(self) -> int:
        """Ask the service to stop; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self._over()

    async def started(self) -> None:
        """Wait until commands are taken."""
        await self._waiting[0]

    async def _over(self) -> int:
        status = await self.process.wait()
        await self._reading
        assert self.process.stdin is not None
        self.process.stdin.close()
        return status

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            if not line.endswith(b"\n"):
                break
            answer = json.loads(line)
            self._waiting.setdefault(answer["id"], asyncio.get_running_loop().create_future()).set_result(answer)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Gone())
                future.exception()


async def start_service(folder: Path, **bounds: Any) -> Service:
    """Start the harness on a folder."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.nova_graph.service.harness",
        str(folder),
        json.dumps(bounds),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        limit=1 << 26,
    )
    service = Service(process)
    await service.started()
    return service


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
