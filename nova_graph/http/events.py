"""`/v1/jobs/{id}/events`: what happens to a job, as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from nova_graph.http.jobs import JobId, found_job
from nova_graph.http.problems import documented
from nova_graph.http.shared import Owner, Parts
from nova_graph.service.backend import OVER, Job, StoredEvent

router = APIRouter(tags=["jobs"])

LastEventId = Annotated[
    int, Header(ge=0, le=2**53, description="The number of the last event that came; those after it follow.")
]


class NothingMore(Exception):
    """The client has every event of a job that is over: a browser stops asking when it hears 204."""


async def job_to_follow(owner: Owner, parts: Parts, job_id: JobId, last_event_id: LastEventId = 0) -> Job:
    """Return the job to follow; raises Trouble, NothingMore."""
    job = await found_job(parts, owner, job_id)
    if job.state in OVER and last_event_id:
        async with aclosing(parts.backend.events(owner, job_id, last_event_id)) as rest:
            with suppress(StopAsyncIteration):
                await anext(rest)
                return job
        raise NothingMore
    return job


async def room_to_follow(owner: Owner, parts: Parts, _: Annotated[Job, Depends(job_to_follow)]) -> AsyncIterator[None]:
    """Hold a place for an open request while the events flow; raises Trouble."""
    with parts.limits.open_request(owner):
        yield


async def nothing_more(*_: Any) -> Response:
    """Answer a client that has every event."""
    return Response(status_code=204)


@router.get(
    "/v1/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    dependencies=[Depends(room_to_follow)],
    responses={204: {"description": "The job is over and you have every event."}, **documented(404, 422)},
)
async def follow_events(
    parts: Parts,
    job: Annotated[Job, Depends(job_to_follow)],
    last_event_id: LastEventId = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Follow a job until it is over. Each event is a JSON object with `event`, as `nova-graph run --json` writes it."""
    async with aclosing(parts.backend.events(job.owner, job.id, last_event_id)) as events:
        async for event in _until(parts.stopping, events):
            yield ServerSentEvent(raw_data=parts.discretion.text(event.data), id=str(event.number))


async def _until(stopping: asyncio.Event, events: AsyncGenerator[StoredEvent, None]) -> AsyncIterator[StoredEvent]:
    """Pass events on until there are no more, or the service ends."""
    end = asyncio.create_task(stopping.wait())
    try:
        while True:
            following = asyncio.ensure_future(anext(events, None))
            try:
                await asyncio.wait({following, end}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not following.done():
                    following.cancel()
                    with suppress(asyncio.CancelledError):
                        await following
            event = None if following.cancelled() else following.result()
            if event is None:
                return
            yield event
    finally:
        end.cancel()
