"""The jobs that are not over, and what becomes of them written into the ledger."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final

from nova_graph.service import transitions
from nova_graph.service.backend import OVER, State, StoreFull
from nova_graph.service.commits import Change
from nova_graph.service.event_text import Lines, tell
from nova_graph.service.ledger import Ledger
from nova_graph.service.live import LiveJob
from nova_graph.service.reports import Report, done_lines, outcome_of

_log = logging.getLogger(__name__)

_LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries to note a job's end on a full disk."""


class Register:
    """Who follows a job sees nothing that is not in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        totals = ledger.read.totals()
        self.totals: dict[State, int] = {state: totals.get(state, 0) for state in OVER}
        """Jobs that are over, since the store was made."""
        self.pace = 1.0
        """Seconds that a job took lately."""
        self._live: dict[str, LiveJob] = {}
        self._owners: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._live)

    def find(self, job_id: str) -> LiveJob | None:
        """Return a job that is not over."""
        return self._live.get(job_id)

    def count(self, owner: str) -> int:
        """Return how many jobs of an owner are not over."""
        return self._owners[owner]

    def add(self, job: LiveJob) -> None:
        """Take a job."""
        self._live[job.id] = job
        self._owners[job.owner] += 1

    def remove(self, job: LiveJob) -> None:
        """Let go of a job."""
        if self._live.pop(job.id, None) is not None:
            self._owners[job.owner] -= 1
            self._owners += Counter()

    def note(self, job: LiveJob, change: Change[bool], lines: Lines, *, patiently: bool = False) -> None:
        """Change the ledger without waiting for it; the events are shown once they are there."""
        self.show_after(self.ledger.note(change, patiently=patiently), job, lines)

    def show_after(self, future: "asyncio.Future[bool]", job: LiveJob, lines: Lines) -> None:
        """Show events of a job once the ledger has them."""

        def show(future: "asyncio.Future[bool]") -> None:
            if not future.cancelled() and future.exception() is None and future.result():
                job.publish(lines)

        future.add_done_callback(show)

    def put_back(self, job: LiveJob, reason: str, *, attempts: int, lines: Lines | None = None) -> None:
        """Note that a running job waits again; `lines` are the events it had meanwhile."""
        before = lines or Lines()
        lines = replace(before, texts=(*before.texts, tell("queued", position=0, reason=reason)))
        job.state, job.started, job.attempts = "queued", None, attempts
        change = partial(transitions.put_back, number=job.number, lines=lines, attempts=attempts, careful=job.careful)
        self.note(job, change, lines)

    def end(self, job: LiveJob, report: Report, lines: Lines | None = None) -> None:
        """Note that a job is over; on a full disk, this goes on until there is room."""
        self.start(self._end(job, report, lines or Lines()))

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background that must come to its end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def settle(self, patience: float) -> None:
        """Wait until all that was begun is done, or so many seconds."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=patience)
            for task in late:
                task.cancel()

    async def _end(self, job: LiveJob, report: Report, lines: Lines) -> None:
        ended = time.time()
        pause = 0.1
        while True:
            whole = done_lines(lines, report)
            try:
                known = await self.ledger.finish(job.number, outcome_of(report, ended), report.files, whole)
                break
            except StoreFull as error:
                if report.files:
                    # Without its pictures it has failed; and if not even that can be noted, it is not over yet.
                    report = Report(state="failed", error=str(error), ran=report.ran, cached=report.cached, told=False)
                    continue
                _log.warning("the end of a job cannot be noted yet: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        if known:
            self._close(job, report, whole, ended)

    def _close(self, job: LiveJob, report: Report, lines: Lines, ended: float) -> None:
        job.state, job.ended, job.error = report.state, ended, report.error
        job.cached, job.ran, job.pictures = report.cached, report.ran, len(report.files)
        self.totals[report.state] += 1
        if job.started is not None:
            self.pace += 0.1 * (ended - job.started - self.pace)
        job.publish(lines)
        self.remove(job)
        job.close()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("something went wrong with a job", exc_info=task.exception())
