"""What a worker tells the service: a few messages a job, however many events it has."""

import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

from engine.events import AnyEvent, Done, Fetching, Progress
from engine.values import Json
from nova_graph.service.event_text import encode_preview, tell, tell_engine
from nova_graph.service.frames import encode

PAUSE: Final = 0.02
"""Seconds after which events are sent at the latest."""

PROGRESS_PAUSE: Final = 0.05
PREVIEW_PAUSE: Final = 0.25
"""Seconds between two reports, or two pictures, of one node's progress; the last one is always sent."""


class Outbox:
    """Gathers the events of the running job and sends them in the background."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._active = threading.Event()
        self._gathered = _Gathered("", 0, 0)
        threading.Thread(target=self._flush_forever, name="nova-graph outbox", daemon=True).start()

    def send(self, header: Mapping[str, Json], parts: Sequence[bytes] = ()) -> None:
        """Send one message at once."""
        data = encode(header, parts)
        with self._sending:
            self._connection.sendall(data)

    def begin(self, job: str, most_events: int, most_bytes: int) -> None:
        """Say that a job begins: what is told from now on belongs to it."""
        self._gathered = _Gathered(job, most_events, most_bytes)
        self.send({"say": "began", "job": job})
        self._active.set()

    def hear(self, event: AnyEvent) -> None:
        """Take an event of the running job."""
        self._gathered.add(event)

    def say(self, text: str) -> None:
        """Take an event of the running job as JSON text."""
        self._gathered.add_text(text)

    def done(self) -> Done | None:
        """Return how the run of this job ended, if it came to that."""
        return self._gathered.done

    def end(self, header: Mapping[str, Json], files: Sequence[bytes]) -> None:
        """Say that the job is over, with the events that were not sent yet."""
        self._active.clear()
        with self._sending:
            told, lines = self._gathered.take()
            self._connection.sendall(encode({"say": "ended", **header, **told}, [lines, *files]))

    def _flush_forever(self) -> None:
        while True:
            self._active.wait()
            time.sleep(PAUSE)
            # Under the lock from taking to sending, so that nothing overtakes them.
            with self._sending:
                told, lines = self._gathered.take()
                if lines:
                    self._connection.sendall(encode({"say": "events", **told}, [lines]))


class _Gathered:
    """The events of one job that were not sent yet."""

    def __init__(self, job: str, most_events: int, most_bytes: int) -> None:
        self._job = job
        self._events_left = most_events
        self._bytes_left = most_bytes
        self._cut = False
        self._lock = threading.Lock()
        self._texts: list[str] = []
        self._previews: dict[str, Json] = {}
        self._last: dict[tuple[str, str], float] = {}
        self.done: Done | None = None

    def add(self, event: AnyEvent) -> None:
        """Take an event, unless it comes too soon after another like it."""
        if isinstance(event, Done):
            # The service writes the last event itself, together with the job's end.
            self.done = event
            return
        preview = None
        if isinstance(event, Progress):
            ending = event.step >= event.total
            if event.preview is not None and self._is_due("preview", event.node, PREVIEW_PAUSE, always=ending):
                preview = encode_preview(event.preview)
            if not self._is_due("progress", event.node, PROGRESS_PAUSE, always=ending or preview is not None):
                return
        elif isinstance(event, Fetching) and not self._is_due("progress", event.node, PREVIEW_PAUSE, always=False):
            return
        self.add_text(tell_engine(event), preview)

    def add_text(self, text: str, preview: str | None = None) -> None:
        """Take an event; beyond the limits there is only a note that there were more."""
        with self._lock:
            if self._cut:
                return
            self._events_left -= 1
            self._bytes_left -= len(text)
            if self._events_left <= 0 or self._bytes_left <= 0:
                self._cut = True
                text = tell("warned", text="this run has more events than are kept; the rest is left out")
            elif preview is not None:
                self._previews[str(len(self._texts))] = preview
            self._texts.append(text)

    def take(self) -> tuple[dict[str, Json], bytes]:
        """Return what was gathered, as words for a header and as lines, and begin anew."""
        with self._lock:
            texts, self._texts = self._texts, []
            previews, self._previews = self._previews, {}
        return {"job": self._job, "count": len(texts), "previews": dict(previews)}, "\n".join(texts).encode()

    def _is_due(self, what: str, node: str, pause: float, *, always: bool) -> bool:
        now = time.monotonic()
        if not always and now - self._last.get((what, node), -pause) < pause:
            return False
        self._last[what, node] = now
        return True
