"""What a worker said last is heard, however it ended."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop

from nova_graph.service.exits import Exit
from nova_graph.service.frames import Frame
from nova_graph.service.supervisor import Supervisor, WorkerCommand
from tests.nova_graph.service.service import ROOT, is_alive

Run = Callable[[Coroutine[Any, Any, None]], None]

SCRIPT = """
import os, socket, sys
from nova_graph.service.frames import encode

link = socket.socket(fileno=int(sys.argv[1]))
link.sendall(encode({"say": "hello"}, []))
link.recv(65536)
link.sendall(encode({"say": "ended"}, []))
os._exit(9)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief(WorkerCommand):
    """A worker that does one job and is gone."""

    def arguments(self, descriptor: int) -> list[str]:
        return [sys.executable, "-c", SCRIPT, str(descriptor)]


class Heard:
    """Sends a job, and the next only when the worker is dead, without having listened meanwhile."""

    def __init__(self) -> None:
        self.supervisor = Supervisor(Brief(environ={"PYTHONPATH": str(ROOT)}), self, 60.0)
        self.said: list[str] = []
        self.gone = asyncio.Event()

    def worker_ready(self, seconds: float) -> None:
        worker = self.supervisor.pid
        assert worker is not None
        self.supervisor.send({"do": "run", "job": "first"})
        while is_alive(worker):
            time.sleep(0.01)
        for _ in range(10):
            self.supervisor.send({"do": "run", "job": "next"}, [bytes(1 << 16)])

    def worker_said(self, frame: Frame) -> None:
        self.said.append(frame.text("say"))

    def worker_gone(self, exit_: Exit) -> None:
        self.said.append(f"gone: {exit_.status}")
        self.gone.set()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_the_last_words_of_a_worker_are_heard_although_it_could_not_be_sent_more(run: Run) -> None:
    async def check() -> None:
        heard = Heard()
        heard.supervisor.start()
        async with asyncio.timeout(60):
            await heard.gone.wait()
            assert heard.said[:2] == ["ended", "gone: 9"]
            await heard.supervisor.stop(1.0)

    run(check())
