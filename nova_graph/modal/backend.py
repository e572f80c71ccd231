"""Jobs of the HTTP service as calls of Modal functions: Modal queues, scales and keeps the results."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import modal

from nodes.values import File
from nova_graph.modal.jobs import lines_of_failure
from nova_graph.modal.records import (
    COUNT,
    Record,
    Stores,
    call_key,
    claim_key,
    ended,
    files_key,
    from_entry,
    from_plain_files,
    new_record,
    piece_key,
    to_entry,
    to_plain_files,
    told_key,
)
from nova_graph.service.backend import OVER, Answer, Job, Load, NewJob, QueueFull, State, StoredEvent

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
        self._records = stores.records
        self._store = stores.rest
        self._run = run
        self._tell = tell

    async def submit(self, job: NewJob, answer: Answer | None = None) -> Job:
        """Accept a job; see `Backend.submit`. Raises QueueFull, and keeps nothing of a job that is not accepted."""
        record = new_record(job, await self._next_number())
        claim = claim_key(job.owner, job.idempotency_key) if job.idempotency_key else ""
        if claim and not await self._store.put.aio(claim, record.job.id, skip_if_exists=True):
            earlier = await self.job_with_key(job.owner, job.idempotency_key)
            if earlier is not None:
                return earlier
        try:
            if answer is not None:
                return await self._accept_answered(record, answer)
            await self._accept(record, job)
        except BaseException as error:
            await self._records.pop.aio(record.job.id, None)
            if claim:
                await self._store.pop.aio(claim, None)
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
        job_id = await self._store.get.aio(claim_key(owner, idempotency_key), None)
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
        mine = [record.job for record in await self._all() if record.job.owner == owner]
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
            lines = await self._store.get.aio(piece_key(job_id, piece), None)
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
        kept = await self._store.get.aio(files_key(job_id), None)
        if kept is None:
            try:
                kept = await self._call(await self._call_id(job_id)).get.aio(timeout=ARRIVAL)
            except (modal.exception.Error, TimeoutError):
                return None
        return from_plain_files(kept)[index]

    async def cancel(self, owner: str, job_id: str) -> Job | None:
        """Ask a queued or running job to stop; returns it as it stands."""
        record = await self._record(owner, job_id)
        if record is None or record.job.state in OVER:
            return record.job if record is not None else None
        call_id = await self._call_id(job_id)
        if not call_id:
            return (await self._give_up(record, "cancelled", "")).job
        await self._call(call_id).cancel.aio()
        return await self.job(owner, job_id)

    async def ready(self) -> bool:
        """Return True: Modal starts a container when there is a job."""
        return True

    async def unfinished(self, owner: str) -> int:
        """Count the owner's jobs that are queued or running."""
        return sum(each.job.owner == owner and each.job.state not in OVER for each in await self._all())

    async def webhooks_due(self) -> tuple[Job, ...]:
        """Return the jobs of all owners that have a webhook which was not told yet that they are over."""
        return tuple(each.job for each in await self._all() if each.job.webhook_url and not each.is_told)

    async def hand_on_webhook(self, owner: str, job_id: str) -> bool:
        """Have the webhook of a job that is over called by a function of its own, unless somebody had that done."""
        if await self._store.put.aio(told_key(job_id), "handed on", skip_if_exists=True):
            try:
                await self._tell.spawn.aio(owner, job_id)
            except BaseException:
                await self._store.pop.aio(told_key(job_id), None)
                raise
        return True

    async def webhook_told(self, job_id: str) -> None:
        """Note that a job's webhook needs no further call."""
        entry = await self._records.get.aio(job_id, None)
        if entry is not None:
            await self._save(replace(from_entry(entry), is_told=True))

    async def load(self) -> Load:
        """Return how much there is to do, over the jobs of the last week."""
        states = Counter(each.job.state for each in await self._all())
        return Load(
            queued=states["queued"],
            running=states["running"],
            done=states["done"],
            failed=states["failed"],
            cancelled=states["cancelled"],
        )

    async def _accept(self, record: Record, job: NewJob) -> None:
        await self._save(record)
        call = await self._run.spawn.aio(record.job.id, job.owner, job.document, job.seconds)
        try:
            await self._store.put.aio(call_key(record.job.id), call.object_id)
        except BaseException:
            await call.cancel.aio()
            raise

    async def _accept_answered(self, record: Record, answer: Answer) -> Job:
        await self._store.put.aio(files_key(record.job.id), to_plain_files(answer.files))
        await self._store.put.aio(piece_key(record.job.id, 0), list(answer.events))
        now = time.time()
        begun = replace(record, pieces=1, job=replace(record.job, started=now))
        done = ended(begun, "done", pictures=len(answer.files), cached=answer.cached)
        await self._save(done)
        return done.job

    async def _record(self, owner: str, job_id: str) -> Record | None:
        entry = await self._records.get.aio(job_id, None)
        record = from_entry(entry) if entry is not None else None
        if record is None or record.job.owner != owner:
            return None
        return record if record.job.state in OVER else await self._settled(record)

    async def _settled(self, record: Record) -> Record:
        """Look whether the call of a job ended without a word: its container died, or it was cancelled early."""
        call_id = await self._call_id(record.job.id)
        if not call_id:
            return record
        try:
            await self._call(call_id).get.aio(timeout=0)
        except TimeoutError:
            return record
        except modal.exception.InternalFailure as error:
            state, text = "failed", f"the container was lost: {error}"
        except modal.exception.FunctionTimeoutError:
            state, text = "failed", "the job took longer than a call may"
        except modal.exception.RemoteError:
            state, text = "cancelled", ""
        except modal.exception.Error as error:
            state, text = "failed", f"the result is gone: {type(error).__name__}"
        except Exception as error:  # noqa: BLE001 - the container's own exception, whatever class it has
            state, text = "failed", f"{type(error).__name__}: {error}"
        else:
            state, text = "", ""
        entry = await self._records.get.aio(record.job.id, None)
        current = from_entry(entry) if entry is not None else record
        if not state or current.job.state in OVER:
            return current
        return await self._give_up(current, state, text)

    async def _give_up(self, record: Record, state: Any, text: str) -> Record:
        piece = 0
        while await self._store.contains.aio(piece_key(record.job.id, piece)):
            piece += 1
        over_state: State = state
        await self._store.put.aio(piece_key(record.job.id, piece), list(lines_of_failure(text, over_state)))
        over = replace(ended(record, over_state, error=text), pieces=piece + 1)
        await self._save(over)
        return over

    async def _all(self) -> list[Record]:
        return [from_entry(entry) async for entry in self._records.values.aio()]

    async def _next_number(self) -> int:
        number = int(await self._store.get.aio(COUNT, 0)) + 1
        await self._store.put.aio(COUNT, number)
        return number

    async def _save(self, record: Record) -> None:
        await self._records.put.aio(record.job.id, to_entry(record))

    async def _call_id(self, job_id: str) -> str:
        return str(await self._store.get.aio(call_key(job_id), ""))

    @staticmethod
    def _call(call_id: str) -> Any:
        return modal.FunctionCall.from_id(call_id)
