"""From a planned graph to a job that is kept, and to its end if that comes soon."""

from nova_graph.http.desk import Ready
from nova_graph.http.problems import INPUT, Trouble, too_many
from nova_graph.http.shared import Shared
from nova_graph.service.backend import OVER, Job, NewJob

JOBS_AGAIN = 10
"""Seconds after which somebody with too many jobs should come back."""


async def hand_in(parts: Shared, owner: str, ready: Ready, *, idempotency_key: str = "", webhook_url: str = "") -> Job:
    """Have a job accepted; raises Trouble, QueueFull."""
    most = parts.settings.jobs
    if ready.answer is None and await parts.backend.unfinished(owner) >= most:
        raise too_many(f"{most:,} jobs of this key are not over yet.", JOBS_AGAIN)
    new = NewJob(
        owner=owner,
        graph=ready.name,
        document=ready.document,
        inputs=ready.inputs,
        idempotency_key=idempotency_key,
        webhook_url=webhook_url,
        seconds=parts.settings.seconds,
    )
    job = await parts.backend.submit(new, ready.answer)
    if idempotency_key:
        _check_same(job, ready)
    parts.courier.watch(job)
    return job


async def waited(parts: Shared, owner: str, job: Job, seconds: float) -> Job:
    """Return a job once it is over, or as it stands after so many seconds; raises Trouble."""
    if job.state in OVER or seconds <= 0:
        return job
    with parts.limits.open_request(owner):
        return await parts.backend.wait(owner, job.id, seconds) or job


def _check_same(job: Job, ready: Ready) -> None:
    """Refuse a key that was used for something else; seeds that were drawn may differ."""
    given = {name: bound.value for name, bound in ready.bound.inputs.items() if bound.schema.get("type") != "seed"}
    if job.graph != ready.name or any(job.inputs.get(name) != value for name, value in given.items()):
        raise Trouble(422, "This Idempotency-Key was used for another job.", kind=INPUT, job=job.id)
