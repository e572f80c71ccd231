"""Jobs on this machine: a ledger on the disk, and a worker process that computes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

from nodes.values import File
from nova_graph.service import transitions
from nova_graph.service.backend import Answer, Job, Load, NewJob, QueueFull, StoredEvent
from nova_graph.service.bounds import Bounds, Retention
from nova_graph.service.dispatcher import Dispatcher
from nova_graph.service.ledger import Ledger, open_ledger
from nova_graph.service.live import LiveJob
from nova_graph.service.reception import Reception
from nova_graph.service.register import Register
from nova_graph.service.restore import restore
from nova_graph.service.supervisor import WorkerCommand


class LocalBackend:
    """Implements `Backend`. Made with `start_backend`, used from one event loop; never imports torch there."""

    def __init__(self, ledger: Ledger, bounds: Bounds, command: WorkerCommand) -> None:
        self._ledger = ledger
        self._bounds = bounds
        self._register = Register(ledger)
        self._dispatcher = Dispatcher(self._register, bounds, command)
        self._reception = Reception(self._register, self._dispatcher, bounds)
        self._expiry: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Take up what an earlier service left, and start the worker."""
        await restore(self._register, self._dispatcher, self._bounds)
        self._dispatcher.supervisor.start()
        self._expiry = asyncio.create_task(self._ledger.expire_forever())

    async def close(self) -> None:
        """Stop: the running job finishes within `Bounds.stop_grace` or is put back; what waits, waits on disk."""
        if self._closed:
            return
        self._closed = True
        if self._expiry is not None:
            self._expiry.cancel()
            await asyncio.wait([self._expiry])
        await self._reception.settle()
        await self._dispatcher.stop()
        await self._register.settle(self._bounds.cancel_grace)
        await self._ledger.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def worker_pid(self) -> int | None:
        """The worker's process, while there is one."""
        return self._dispatcher.supervisor.pid

    async def submit(self, job: NewJob, answer: Answer | None = None) -> Job:
        """Accept a job; see `Backend.submit`. Raises QueueFull, StoreFull."""
        if self._closed:
            raise QueueFull(10.0)
        return await self._reception.accept(job, answer)

    async def job(self, owner: str, job_id: str) -> Job | None:
        """Return a job of this owner, or None."""
        live = self._live(owner, job_id)
        return self._dispatcher.snapshot(live) if live is not None else self._ledger.read.job(owner, job_id)

    async def job_with_key(self, owner: str, idempotency_key: str) -> Job | None:
        """Return the job that this owner handed in under an idempotency key, or None."""
        return self._reception.job_with_key(owner, idempotency_key)

    async def jobs(self, owner: str, *, limit: int, before: str | None) -> tuple[Job, ...]:
        """Return the owner's jobs, newest first, from the one accepted before the job `before`."""
        found = self._ledger.read.jobs(owner, limit=limit, before=before)
        lives = [self._live(owner, job.id) for job in found]
        return tuple(
            self._dispatcher.snapshot(live) if live is not None else job for job, live in zip(found, lives, strict=True)
        )

    async def events(self, owner: str, job_id: str, after: int) -> AsyncGenerator[StoredEvent, None]:
        """Follow a job's events from number `after + 1` until it is over."""
        live = self._live(owner, job_id)
        number = live.number if live is not None else self._number_of(owner, job_id)
        if number is None:
            return
        while True:
            over = live is None or live.over
            recent = live.since(after) if live is not None else None
            found = self._ledger.read.events(number, after) if recent is None else recent
            for event in found:
                after = event.number
                yield event
            if found:
                continue
            if live is None or over:
                return
            await live.changed()

    async def wait(self, owner: str, job_id: str, seconds: float) -> Job | None:
        """Return the job when it is over, or as it stands after so many seconds."""
        live = self._live(owner, job_id)
        if live is None:
            return self._ledger.read.job(owner, job_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not live.over:
                    await live.changed()
        return self._dispatcher.snapshot(live)

    async def picture(self, owner: str, job_id: str, index: int) -> File | None:
        """Return one encoded picture of a finished job, or None."""
        return await self._ledger.picture(owner, job_id, index)

    async def cancel(self, owner: str, job_id: str) -> Job | None:
        """Ask a queued or running job to stop; returns it as it stands. That it was asked is durable then."""
        live = self._live(owner, job_id)
        if live is None:
            return self._ledger.read.job(owner, job_id)
        asked = self._ledger.make(partial(transitions.ask_to_stop, number=live.number))
        at_once = self._dispatcher.cancel(live)
        await asyncio.shield(asked)
        while at_once and not live.over:
            await live.changed()
        return self._dispatcher.snapshot(live)

    async def ready(self) -> bool:
        """Whether jobs would be run now."""
        return self._dispatcher.supervisor.ready and not self._closed

    async def unfinished(self, owner: str) -> int:
        """Count the owner's jobs that are queued or running."""
        return self._register.count(owner)

    async def webhooks_due(self) -> tuple[Job, ...]:
        """Return the jobs of all owners with a webhook that is still to be called: now, or once they are over."""
        return self._ledger.read.webhooks_due()

    async def hand_on_webhook(self, owner: str, job_id: str) -> bool:
        """Return False: there is only this process."""
        return False

    async def webhook_told(self, job_id: str) -> None:
        """Note that a job's webhook needs no further call."""
        await self._ledger.make(partial(transitions.webhook_told, job_id=job_id))

    async def load(self) -> Load:
        """Return how much there is to do."""
        totals, running = self._register.totals, self._dispatcher.running
        return Load(
            queued=len(self._register) - running,
            running=running,
            done=totals["done"],
            failed=totals["failed"],
            cancelled=totals["cancelled"],
            restarts=self._dispatcher.supervisor.restarts,
        )

    # Looking up

    def _live(self, owner: str, job_id: str) -> LiveJob | None:
        live = self._register.find(job_id)
        return live if live is not None and live.owner == owner else None

    def _number_of(self, owner: str, job_id: str) -> int | None:
        job = self._ledger.read.job(owner, job_id)
        return job.number if job is not None else None


async def start_backend(
    folder: Path,
    command: WorkerCommand | None = None,
    *,
    bounds: Bounds | None = None,
    retention: Retention | None = None,
) -> LocalBackend:
    """Start running jobs whose ledger lies in a folder; one service at a time may use it. Raises CacheError."""
    ledger = await open_ledger(folder, retention)
    backend = LocalBackend(ledger, bounds or Bounds(), command or WorkerCommand())
    try:
        await backend.start()
    except BaseException:
        await backend.close()
        raise
    return backend
