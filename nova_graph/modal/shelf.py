"""The two Modal Dicts with jobs, as the web container writes and reads them."""

from dataclasses import replace

from nodes.values import File
from nova_graph.modal.jobs import lines_of_failure
from nova_graph.modal.records import (
    COUNT,
    Record,
    Stores,
    call_key,
    cancel_key,
    claim_key,
    ended,
    files_key,
    from_entry,
    from_plain_files,
    piece_key,
    to_entry,
    to_plain_files,
    told_key,
)
from nova_graph.service.backend import NewJob, State


class Shelf:
    """Jobs by id, and what belongs to them."""

    def __init__(self, stores: Stores) -> None:
        self._records = stores.records
        self._store = stores.rest

    async def record(self, job_id: str) -> Record | None:
        """Return a job as it was last written, or None."""
        entry = await self._records.get.aio(job_id, None)
        return from_entry(entry) if entry is not None else None

    async def records(self) -> list[Record]:
        """Return all jobs."""
        return [from_entry(entry) async for entry in self._records.values.aio()]

    async def save(self, record: Record) -> None:
        """Write a job."""
        await self._records.put.aio(record.job.id, to_entry(record))

    async def next_number(self) -> int:
        """Count one more job."""
        number = int(await self._store.get.aio(COUNT, 0)) + 1
        await self._store.put.aio(COUNT, number)
        return number

    async def claim(self, job: NewJob, job_id: str) -> bool:
        """Let a job's idempotency key stand for its id; False where it stands for another."""
        key = claim_key(job.owner, job.idempotency_key)
        return not job.idempotency_key or bool(await self._store.put.aio(key, job_id, skip_if_exists=True))

    async def claimed(self, owner: str, idempotency_key: str) -> str | None:
        """Return the id of the job that an idempotency key stands for."""
        found: str | None = await self._store.get.aio(claim_key(owner, idempotency_key), None)
        return found

    async def forget(self, job: NewJob, job_id: str) -> None:
        """Take back a job that is not accepted, and its idempotency key."""
        await self._records.pop.aio(job_id, None)
        if job.idempotency_key:
            await self._store.pop.aio(claim_key(job.owner, job.idempotency_key), None)

    async def note_call(self, job_id: str, call_id: str) -> None:
        """Write down which call runs a job."""
        await self._store.put.aio(call_key(job_id), call_id)

    async def call_id(self, job_id: str) -> str:
        """Return the id of the call that runs a job, empty where there is none."""
        return str(await self._store.get.aio(call_key(job_id), ""))

    async def note_cancel(self, job_id: str) -> None:
        """Write down that somebody asked for a job to be cancelled."""
        await self._store.put.aio(cancel_key(job_id), "asked")

    async def is_cancelled(self, job_id: str) -> bool:
        """Tell whether somebody asked for a job to be cancelled."""
        return bool(await self._store.contains.aio(cancel_key(job_id)))

    async def keep_answer(self, job_id: str, files: tuple[File, ...], events: tuple[str, ...]) -> None:
        """Write the pictures and events of a job that no container runs."""
        await self._store.put.aio(files_key(job_id), to_plain_files(files))
        await self._store.put.aio(piece_key(job_id, 0), list(events))

    async def files(self, job_id: str) -> list[File] | None:
        """Return the pictures of a job that no container ran."""
        kept = await self._store.get.aio(files_key(job_id), None)
        return from_plain_files(kept) if kept is not None else None

    async def lines(self, job_id: str, piece: int) -> list[str] | None:
        """Return one piece of a job's events."""
        found: list[str] | None = await self._store.get.aio(piece_key(job_id, piece), None)
        return found

    async def give_up(self, record: Record, state: State, text: str) -> Record:
        """End a job whose container could not, after the events that it told."""
        piece = 0
        while await self._store.contains.aio(piece_key(record.job.id, piece)):
            piece += 1
        await self._store.put.aio(piece_key(record.job.id, piece), list(lines_of_failure(text, state)))
        over = replace(ended(record, state, error=text), pieces=piece + 1)
        await self.save(over)
        return over

    async def take_webhook(self, job_id: str) -> bool:
        """Take it on oneself to have a job's webhook called; False where somebody did before."""
        return bool(await self._store.put.aio(told_key(job_id), "handed on", skip_if_exists=True))

    async def leave_webhook(self, job_id: str) -> None:
        """Leave a job's webhook to the next who takes it."""
        await self._store.pop.aio(told_key(job_id), None)
