"""From the queue to the worker and back."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from engine.values import Json
from nova_graph.service import transitions
from nova_graph.service.backend import Job, StoreFull, lateness
from nova_graph.service.bounds import Bounds
from nova_graph.service.event_text import Lines, tell
from nova_graph.service.exits import Exit
from nova_graph.service.frames import Frame
from nova_graph.service.live import LiveJob
from nova_graph.service.queue import FairQueue
from nova_graph.service.register import Register
from nova_graph.service.reports import Report, read_lines, read_report
from nova_graph.service.supervisor import Supervisor, WorkerCommand

WITH_WORKER: Final = 2
"""Jobs that are with the worker: while one runs, the next is there already."""

_NOT_STOPPED: Final = "the job did not stop when it was cancelled"


class Dispatcher:
    """Gives jobs to the worker and hears what it says of them."""

    def __init__(self, register: Register, bounds: Bounds, command: WorkerCommand) -> None:
        self._register = register
        self._bounds = bounds
        self.supervisor = Supervisor(command, self, bounds.start_limit)
        self.queue = FairQueue()
        self._flight: list[LiveJob] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._cold = 0.0
        self._ready_at = 0.0
        self._stopping = False

    @property
    def running(self) -> int:
        """How many jobs are running."""
        return sum(job.state == "running" for job in self._flight)

    def add(self, job: LiveJob) -> None:
        """Take a job that waits."""
        self._register.add(job)
        self.queue.put(job)
        self._pump()

    def drop(self, job: LiveJob) -> None:
        """Let go of a job that the ledger did not take."""
        self._register.remove(job)
        self.queue.remove(job)
        if job in self._flight:
            self._flight.remove(job)
            self.supervisor.send({"do": "cancel", "job": job.id})
            self._pump()

    def snapshot(self, job: LiveJob) -> Job:
        """Return a job as it stands, with its place in the queue."""
        return job.snapshot((self.queue.position(job) or 0) if job.state == "queued" else None)

    def cancel(self, job: LiveJob) -> bool:
        """Stop a job: at once, and True, if it waits, else between two steps."""
        job.cancelled = True
        if self.queue.remove(job):
            self._register.end(job, Report(state="cancelled"))
            return True
        if job in self._flight and job.state == "queued":
            # The worker has it as the next one: it passes it over, and whatever it says of it is passed over here.
            self._flight.remove(job)
            self.supervisor.send({"do": "cancel", "job": job.id})
            self._register.end(job, Report(state="cancelled"))
            self._pump()
            return True
        if job in self._flight:
            self._stop_running(job, _NOT_STOPPED)
        return False

    async def stop(self) -> None:
        """Let the running job finish for a while, put it back if it does not, and end the worker."""
        self._stopping = True
        for job in [job for job in self._flight if job.state == "queued"]:
            self._flight.remove(job)
            self.supervisor.send({"do": "cancel", "job": job.id})
            self._uncount(job)
        until = time.monotonic() + self._bounds.stop_grace
        while self._flight and time.monotonic() < until:
            await asyncio.sleep(0.02)
        for job in self._flight:
            self._register.put_back(job, "the service stopped", attempts=job.attempts - 1)
        self._flight.clear()
        self._clear_timers()
        await self.supervisor.stop(self._bounds.cancel_grace)

    # What the supervisor tells

    def worker_ready(self, seconds: float) -> None:
        """Give the new worker what waits."""
        self._cold, self._ready_at = seconds, time.time()
        self._pump()

    def worker_said(self, frame: Frame) -> None:
        """Note what the worker says of a job; what it says of others than it was given is passed over."""
        job = next((job for job in self._flight if job.id == frame.text("job")), None)
        if job is None:
            return
        match frame.text("say"):
            case "began":
                self._begin(job)
            case "events":
                lines = read_lines(frame)
                self._register.note(job, partial(transitions.append, number=job.number, lines=lines), lines)
            case "ended":
                report, lines = read_report(frame), read_lines(frame)
                self._flight.remove(job)
                self._clear_timers()
                self.supervisor.praise()
                self._conclude(job, report, lines)
                self._pump()

    def worker_gone(self, exit_: Exit) -> None:
        """See to the job that the worker was on; those it had not begun wait again."""
        self._clear_timers()
        flight, self._flight = self._flight, []
        for job in flight:
            if job.state == "running":
                self._conclude(job, self._report_of_death(job, exit_), Lines())
            else:
                self._wait_again(job)

    # Sending

    def _pump(self) -> None:
        while self.supervisor.ready and not self._stopping and len(self._flight) < WITH_WORKER:
            job = self.queue.next(self._may_go)
            if job is None:
                return
            self._flight.append(job)
            if job.restored:
                # It may be what killed the service: its attempts are on the disk before they begin.
                job.attempts += 1
                self._register.start(self._send_counted(job, self._count(job)))
            else:
                self._send(job)

    def _may_go(self, job: LiveJob) -> bool:
        if job.restored and self._flight:
            return False
        return sum(other.owner == job.owner for other in self._flight) < self._bounds.owner_running

    def _count(self, job: LiveJob) -> "asyncio.Future[bool]":
        change = partial(transitions.count_attempt, number=job.number, attempts=job.attempts)
        return self._register.ledger.note(change)

    def _uncount(self, job: LiveJob) -> None:
        """Take back the attempt of a job that was not begun."""
        if job.restored:
            job.attempts -= 1
            self._count(job)

    async def _send_counted(self, job: LiveJob, counted: "asyncio.Future[bool]") -> None:
        worker = self.supervisor.pid
        try:
            await counted
        except StoreFull:
            if job in self._flight:
                self._flight.remove(job)
                asyncio.get_running_loop().call_later(1.0, self._pump)
                self._wait_again(job)
            return
        if job in self._flight and self.supervisor.pid == worker:
            self._send(job)

    def _send(self, job: LiveJob) -> None:
        document = job.document
        if document is None:
            document = self._register.ledger.read.document(job.number) or b"{}"
        header: dict[str, Json] = {
            "do": "run",
            "job": job.id,
            "owner": job.owner,
            "careful": job.careful,
            "events": self._bounds.events,
            "event_bytes": self._bounds.event_bytes,
            "result_bytes": self._bounds.result_bytes,
        }
        self.supervisor.send(header, [document])

    def _wait_again(self, job: LiveJob) -> None:
        """Put a job back that was not begun."""
        self._uncount(job)
        if job.cancelled:
            self._register.end(job, Report(state="cancelled"))
        else:
            self.queue.put(job)

    # What becomes of a job

    def _begin(self, job: LiveJob) -> None:
        job.state, job.started = "running", time.time()
        job.cold, self._cold = max(0.0, min(self._cold, self._ready_at - job.accepted)), 0.0
        if not job.restored:
            job.attempts += 1
        lines = Lines((tell("running", attempt=job.attempts),))
        change = partial(
            transitions.begin,
            number=job.number,
            lines=lines,
            at=job.started,
            cold=job.cold,
            attempts=job.attempts,
        )
        # A short job is over before this is on the disk: then both are one commit.
        self._register.note(job, change, lines, patiently=True)
        self._later(job.seconds, self._be_late, job)
        if job.cancelled:
            self._stop_running(job, _NOT_STOPPED)

    def _be_late(self, job: LiveJob) -> None:
        job.late = True
        self._stop_running(job, lateness(job.seconds))

    def _stop_running(self, job: LiveJob, why: str) -> None:
        self.supervisor.send({"do": "cancel", "job": job.id})
        if job.state == "running":
            self._later(self._bounds.cancel_grace, self.supervisor.kill, why)

    def _report_of_death(self, job: LiveJob, exit_: Exit) -> Report:
        if job.cancelled or job.late or exit_.orderly:
            return Report(state="cancelled")
        return Report(state="failed", error=str(exit_), memory=exit_.out_of_memory, told=False)

    def _conclude(self, job: LiveJob, report: Report, lines: Lines) -> None:
        """End a job, or let it wait where it may run again."""
        if report.state == "cancelled" and job.late and not job.cancelled:
            report = replace(report, state="failed", error=lateness(job.seconds), told=False)
        elif report.state == "cancelled" and not job.cancelled:
            if job.attempts < self._bounds.attempts:
                self._register.put_back(job, "the worker stopped", attempts=job.attempts, lines=lines)
                self.queue.put(job)
                return
            error = f"the worker stopped {job.attempts} times while it was on this job"
            report = replace(report, state="failed", error=error, told=False)
        elif report.memory and not job.careful and not job.cancelled:
            job.careful = True
            reason = f"{report.error}; once more, in tiles"
            self._register.put_back(job, reason, attempts=job.attempts, lines=lines)
            self.queue.put(job)
            return
        self._register.end(job, report, lines)

    # Clocks

    def _later(self, seconds: float, call: Callable[..., None], *arguments: object) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, call, *arguments))

    def _clear_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
