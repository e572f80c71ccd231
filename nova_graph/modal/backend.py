"""Jobs of the HTTP service as calls of Modal functions: Modal queues, scales and keeps the results."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import modal

from nodes.values import File
from nova_graph.modal.endings import call_of, ending
from nova_graph.modal.records import Record, Stores, ended, from_plain_files, new_record
from nova_graph.modal.shelf import Shelf
from nova_graph.service.backend import OVER, Answer, Job, Load, NewJob, QueueFull, StoredEvent

LOOK = 0.3
"""Seconds between two looks at a job that somebody follows."""

ARRIVAL = 30.0
"""How long the result of a call may take to arrive after its container wrote down that the job is done."""

FULL = 30.0
"""Seconds after which to try again when Modal takes no more calls."""


class ModalBackend:
    """The service's `Backend` over two Modal Dicts and two functions.

    `run` takes `(job id, owner, document, seconds)`; `tell` takes `(owner, job id)` and calls the webhook of a job that
    is over. A job's number is a count and not a promise: two jobs accepted in the same moment may share one.
    """

    def __init__(self, stores: Stores, run: Any, tell: Any) -> None:
        self._shelf = Shelf(stores)
        self._run = run
        self._tell = tell

    async def submit(self, job: NewJob, answer: Answer | None = None) -> Job:
        """Accept a job; see `Backend.submit`. Raises QueueFull, and keeps nothing of a job that is not accepted."""
        record = new_record(job, await self._shelf.next_number())
        if not await self._shelf.claim(job, record.job.id):
            earlier = await self.job_with_key(job.owner, job.idempotency_key)
            if earlier is not None:
                return earlier
        try:
            if answer is not None:
                return await self._accept_answered(record, answer)
            await self._accept(record, job)
        except BaseException as error:
            await self._shelf.forget(job, record.job.id)
            if isinstance(error, modal.exception.ResourceExhaustedError):
                raise QueueFull(FULL) from error
            raise
        return record.job

    async def job(self, owner: str, job_id: str) -> Job | None:
        """Return a job of this owner, or None."""
        record = await self._record(owner, job_id)
        return record.job if record is not None else None

    async def job_with_key(self, owner: str, idempotency_key: str) -> Job | None:
        """Return the job that an idempotency key stands for, which another request may be writing just now."""
        job_id = await self._shelf.claimed(owner, idempotency_key)
        if job_id is None:
            return None
        for _ in range(10):
            earlier = await self.job(owner, job_id)
            if earlier is not None:
                return earlier
            await asyncio.sleep(LOOK)
        return None

    async def jobs(self, owner: str, *, limit: int, before: str | None) -> tuple[Job, ...]:
        """Return the owner's jobs, newest first, from the one accepted before the job `before`."""
        mine = [record.job for record in await self._shelf.records() if record.job.owner == owner]
        mine.sort(key=lambda job: (job.accepted, job.id), reverse=True)
        if before is not None:
            places = [place for place, job in enumerate(mine) if job.id == before]
            mine = mine[places[0] + 1 :] if places else []
        return tuple(mine[:limit])

    async def events(self, owner: str, job_id: str, after: int) -> AsyncGenerator[StoredEvent, None]:
        """Follow a job's events from number `after + 1` until it is over."""
        number, piece = 0, 0
        while True:
            record = await self._record(owner, job_id)
            lines = await self._shelf.lines(job_id, piece)
            if lines is not None:
                piece += 1
                for line in lines:
                    number += 1
                    if number > after:
                        yield StoredEvent(number, line)
            elif record is None or (record.job.state in OVER and piece >= record.pieces):
                return
            else:
                await asyncio.sleep(LOOK)

    async def wait(self, owner: str, job_id: str, seconds: float) -> Job | None:
        """Return the job when it is over, or as it stands after so many seconds."""
        end = time.monotonic() + seconds
        while True:
            job = await self.job(owner, job_id)
            if job is None or job.state in OVER or time.monotonic() >= end:
                return job
            await asyncio.sleep(min(LOOK, max(0.0, end - time.monotonic())))

    async def picture(self, owner: str, job_id: str, index: int) -> File | None:
        """Return one encoded picture of a finished job, or None."""
        record = await self._record(owner, job_id)
        if record is None or record.job.state != "done" or not 0 <= index < record.job.pictures:
            return None
        files = await self._shelf.files(job_id)
        if files is None:
            try:
                files = from_plain_files(await call_of(await self._shelf.call_id(job_id)).get.aio(timeout=ARRIVAL))
            except (modal.exception.Error, TimeoutError):
                return None
        return files[index]

    async def cancel(self, owner: str, job_id: str) -> Job | None:
        """Ask a queued or running job to stop; returns it as it stands."""
        record = await self._record(owner, job_id)
        if record is None or record.job.state in OVER:
            return record.job if record is not None else None
        call_id = await self._shelf.call_id(job_id)
        if not call_id:
            return (await self._shelf.give_up(record, "cancelled", "")).job
        await self._shelf.note_cancel(job_id)
        await call_of(call_id).cancel.aio()
        return await self.job(owner, job_id)

    async def ready(self) -> bool:
        """Return True: Modal starts a container when there is a job."""
        return True

    async def unfinished(self, owner: str) -> int:
        """Count the owner's jobs that are queued or running."""
        return sum(each.job.owner == owner and each.job.state not in OVER for each in await self._shelf.records())

    async def webhooks_due(self) -> tuple[Job, ...]:
        """Return the jobs of all owners that have a webhook which was not told yet that they are over."""
        return tuple(each.job for each in await self._shelf.records() if each.job.webhook_url and not each.is_told)

    async def hand_on_webhook(self, owner: str, job_id: str) -> bool:
        """Have the webhook of a job that is over called by a function of its own, unless somebody had that done."""
        if await self._shelf.take_webhook(job_id):
            try:
                await self._tell.spawn.aio(owner, job_id)
            except BaseException:
                await self._shelf.leave_webhook(job_id)
                raise
        return True

    async def webhook_told(self, job_id: str) -> None:
        """Note that a job's webhook needs no further call."""
        record = await self._shelf.record(job_id)
        if record is not None:
            await self._shelf.save(replace(record, is_told=True))

    async def load(self) -> Load:
        """Return how much there is to do, over the jobs of the last week."""
        states = Counter(each.job.state for each in await self._shelf.records())
        return Load(
            queued=states["queued"],
            running=states["running"],
            done=states["done"],
            failed=states["failed"],
            cancelled=states["cancelled"],
        )

    async def _accept(self, record: Record, job: NewJob) -> None:
        await self._shelf.save(record)
        call = await self._run.spawn.aio(record.job.id, job.owner, job.document, job.seconds)
        try:
            await self._shelf.note_call(record.job.id, call.object_id)
        except BaseException:
            await call.cancel.aio()
            raise

    async def _accept_answered(self, record: Record, answer: Answer) -> Job:
        await self._shelf.keep_answer(record.job.id, answer.files, answer.events)
        begun = replace(record, pieces=1, job=replace(record.job, started=time.time()))
        done = ended(begun, "done", pictures=len(answer.files), cached=answer.cached)
        await self._shelf.save(done)
        return done.job

    async def _record(self, owner: str, job_id: str) -> Record | None:
        record = await self._shelf.record(job_id)
        if record is None or record.job.owner != owner:
            return None
        return record if record.job.state in OVER else await self._settled(record)

    async def _settled(self, record: Record) -> Record:
        """Return a job as it is now, ended where its call ended without a word."""
        call_id = await self._shelf.call_id(record.job.id)
        if not call_id:
            return record
        found = await ending(call_id)
        if found.state == "running":
            return record
        current = await self._shelf.record(record.job.id) or record
        if found.state == "done" or current.job.state in OVER:
            return current
        if found.state == "cancelled" and await self._shelf.is_cancelled(current.job.id):
            return await self._shelf.give_up(current, "cancelled", "")
        return await self._shelf.give_up(current, "failed", found.error)
