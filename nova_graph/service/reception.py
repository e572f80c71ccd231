"""Taking jobs in: durable before anybody is told so."""

import asyncio
import json
import secrets
import time

from nova_graph.service.backend import Answer, Job, NewJob, QueueFull
from nova_graph.service.bounds import Bounds
from nova_graph.service.dispatcher import Dispatcher
from nova_graph.service.event_text import Lines, tell
from nova_graph.service.live import LiveJob
from nova_graph.service.register import Register
from nova_graph.service.transitions import Entry, Outcome


class Reception:
    """Accepts each job once, however often and however hastily it is handed in."""

    def __init__(self, register: Register, dispatcher: Dispatcher, bounds: Bounds) -> None:
        self._register = register
        self._ledger = register.ledger
        self._dispatcher = dispatcher
        self._bounds = bounds
        self._number = register.ledger.read.last_number()
        self._accepting: dict[tuple[str, str], asyncio.Task[Job]] = {}

    async def accept(self, job: NewJob, answer: Answer | None) -> Job:
        """Accept a job, or return the one that has its idempotency key. Raises QueueFull, StoreFull."""
        key = (job.owner, job.idempotency_key or secrets.token_hex(16))
        task = self._accepting.get(key)
        if task is None:
            task = asyncio.create_task(self._accept(job, answer))
            self._accepting[key] = task
            task.add_done_callback(lambda _: self._accepting.pop(key, None))
        # A client that goes away must not stop what is half accepted.
        return await asyncio.shield(task)

    def job_with_key(self, owner: str, idempotency_key: str) -> Job | None:
        """Return the job that has an idempotency key, as it stands."""
        earlier = self._ledger.read.job_with_key(owner, idempotency_key)
        live = self._register.find(earlier.id) if earlier is not None else None
        return self._dispatcher.snapshot(live) if live is not None else earlier

    async def settle(self) -> None:
        """Wait until nothing is half accepted."""
        if self._accepting:
            await asyncio.wait(self._accepting.values())

    async def _accept(self, job: NewJob, answer: Answer | None) -> Job:
        if job.idempotency_key:
            earlier = self.job_with_key(job.owner, job.idempotency_key)
            if earlier is not None:
                return earlier
        if answer is not None:
            return await self._accept_answered(job, answer)
        document = json.dumps(job.document).encode()
        self._check_queue(job.owner, len(document))
        return await self._accept_waiting(self._entry(job, document))

    async def _accept_answered(self, job: NewJob, answer: Answer) -> Job:
        entry = self._entry(job, b"")
        outcome = Outcome(state="done", ended=time.time(), cached=answer.cached)
        await self._ledger.accept_answered(entry, outcome, answer.files, Lines(answer.events))
        self._register.totals["done"] += 1
        return Job(
            id=entry.id,
            owner=entry.owner,
            graph=entry.graph,
            state="done",
            inputs=job.inputs,
            accepted=entry.accepted,
            started=entry.accepted,
            ended=outcome.ended,
            pictures=len(answer.files),
            cached=answer.cached,
            number=entry.number,
            webhook_url=entry.webhook_url,
            request=entry.request,
        )

    async def _accept_waiting(self, entry: Entry) -> Job:
        live = LiveJob(
            number=entry.number,
            id=entry.id,
            owner=entry.owner,
            graph=entry.graph,
            inputs=entry.inputs,
            accepted=entry.accepted,
            seconds=entry.seconds,
            webhook_url=entry.webhook_url,
            request=entry.request,
            document=entry.document,
            document_size=len(entry.document),
        )
        lines = Lines((tell("queued", position=len(self._dispatcher.queue)),))
        accepted = self._ledger.accept(entry, lines)
        self._register.show_after(accepted, live, lines)
        # The worker may have it already while the disk writes: what the ledger is told next comes after this.
        self._dispatcher.add(live)
        try:
            await accepted
        except BaseException:
            self._dispatcher.drop(live)
            raise
        return self._dispatcher.snapshot(live)

    def _check_queue(self, owner: str, size: int) -> None:
        queue = self._dispatcher.queue
        full = len(queue) >= self._bounds.queue or queue.count(owner) >= self._bounds.owner_queue
        if full or (len(queue) and queue.bytes + size > self._bounds.queue_bytes):
            raise QueueFull(min(max(self._register.pace * len(queue) / 2, 1.0), 600.0))

    def _entry(self, job: NewJob, document: bytes) -> Entry:
        self._number += 1
        return Entry(
            number=self._number,
            id=secrets.token_urlsafe(15),
            owner=job.owner,
            graph=job.graph,
            inputs=json.dumps(job.inputs),
            document=document,
            idempotency_key=job.idempotency_key,
            request=job.request,
            webhook_url=job.webhook_url,
            seconds=job.seconds,
            accepted=time.time(),
        )
