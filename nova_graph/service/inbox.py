"""What the service tells a worker: jobs, and that one of them should stop."""

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Final

from engine.services import Cancel
from nova_graph.service.frames import BadFrame, Decoder, Frame

LAST_PATIENCE: Final = 3.0
"""Seconds that the running job gets to stop when the service is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A job as the worker gets it; `document` is the graph as JSON."""

    job: str
    owner: str
    document: bytes
    careful: bool
    most_events: int
    most_event_bytes: int
    most_result_bytes: int
    cancel: Cancel = field(default_factory=Cancel)


class Inbox:
    """Reads messages in a thread of its own, so that a job hears that it was cancelled."""

    def __init__(self, connection: socket.socket, exit_now: Callable[[int], None] = os._exit) -> None:
        self._connection = connection
        self._exit_now = exit_now
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._cancels: dict[str, Cancel] = {}
        self._stopping = False
        threading.Thread(target=self._read, name="nova-graph inbox", daemon=True).start()

    def next(self) -> Task | None:
        """Wait for a job; None when there will be no more."""
        task = self._tasks.get()
        return None if self._stopping else task

    def close(self) -> None:
        """Stop the running job and take no other. A signal handler may call this."""
        self._stopping = True
        for cancel in list(self._cancels.values()):
            cancel.set()
        self._tasks.put(None)

    @property
    def closed(self) -> bool:
        """Whether no further job will be taken."""
        return self._stopping

    def forget(self, task: Task) -> None:
        """Note that a job is over."""
        self._cancels.pop(task.job, None)

    def _read(self) -> None:
        decoder = Decoder()
        try:
            while data := self._connection.recv(1 << 18):
                for frame in decoder.feed(data):
                    self._take(frame)
        except (OSError, BadFrame):
            pass
        self.close()
        # Nobody is left to hear of what a job that does not stop may yet do.
        time.sleep(LAST_PATIENCE)
        self._exit_now(1)

    def _take(self, frame: Frame) -> None:
        job = frame.text("job")
        if frame.text("do") == "cancel":
            if job in self._cancels:
                self._cancels[job].set()
            return
        task = Task(
            job=job,
            owner=frame.text("owner"),
            document=frame.parts[0],
            careful=bool(frame.count("careful")),
            most_events=frame.count("events"),
            most_event_bytes=frame.count("event_bytes"),
            most_result_bytes=frame.count("result_bytes"),
        )
        self._cancels[job] = task.cancel
        self._tasks.put(task)
