"""From a planned graph to a job that is kept, and to its end if that comes soon."""

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from nova_graph.http.desk import Ready
from nova_graph.http.kinds import INPUT
from nova_graph.http.problems import Trouble, too_many
from nova_graph.http.shared import Shared
from nova_graph.service.backend import OVER, Job, NewJob

JOBS_AGAIN = 10
"""Seconds after which somebody with too many jobs should come back."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An idempotency key, and a digest of the request that came with it."""

    key: str = ""
    request: str = ""


NO_CLAIM = Claim()


async def handed_in_before(parts: Shared, owner: str, claim: Claim) -> Job | None:
    """Return the job that a request was accepted as when it came before; raises Trouble."""
    job = await parts.backend.job_with_key(owner, claim.key) if claim.key else None
    return job if job is None else _same(job, claim)


async def hand_in(
    parts: Shared, owner: str, ready: Ready, *, wait: float, claim: Claim = NO_CLAIM, webhook_url: str = ""
) -> Job:
    """Have a job accepted; return it once it is over, or as `waited` says.

    Raises Trouble, QueueFull, StoreFull; then there is no job: the place to wait is taken before it is accepted.
    """
    waits = wait > 0 and ready.answer is None
    with parts.limits.open_request(owner) if waits else nullcontext():
        job = await _accepted(parts, owner, ready, claim, webhook_url)
        return await _end_of(parts, job, wait) if waits else job


async def waited(parts: Shared, owner: str, job: Job, seconds: float) -> Job:
    """Return a job once it is over, or as it stands after so many seconds, or when the service ends; raises Trouble."""
    if job.state in OVER or seconds <= 0:
        return job
    with parts.limits.open_request(owner):
        return await _end_of(parts, job, seconds)


async def _end_of(parts: Shared, job: Job, seconds: float) -> Job:
    waiting = asyncio.create_task(parts.backend.wait(job.owner, job.id, seconds))
    stopping = asyncio.create_task(parts.stopping.wait())
    try:
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        found = waiting.result() if waiting.done() else await parts.backend.job(job.owner, job.id)
        return found or job
    finally:
        stopping.cancel()
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting


async def _accepted(parts: Shared, owner: str, ready: Ready, claim: Claim, webhook_url: str) -> Job:
    most = parts.settings.jobs
    if ready.answer is None and await parts.backend.unfinished(owner) >= most:
        raise too_many(f"{most:,} jobs of this key are not over yet.", JOBS_AGAIN)
    new = NewJob(
        owner=owner,
        graph=ready.name,
        document=ready.document,
        inputs=ready.inputs,
        idempotency_key=claim.key,
        request=claim.request,
        webhook_url=webhook_url,
        seconds=parts.settings.seconds,
    )
    job = _same(await parts.backend.submit(new, ready.answer), claim)
    parts.courier.watch(job)
    return job


def _same(job: Job, claim: Claim) -> Job:
    """Return the job, unless its key was used for another request."""
    if job.request and job.request != claim.request:
        raise Trouble(422, "This Idempotency-Key was used for another job.", kind=INPUT, job=job.id)
    return job
