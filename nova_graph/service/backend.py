"""What the HTTP application needs of whoever runs jobs: a worker process here, containers elsewhere."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from engine.values import Json
from nodes.values import File

State = Literal["queued", "running", "done", "failed", "cancelled"]

OVER: frozenset[State] = frozenset({"done", "failed", "cancelled"})
"""States that a job does not leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A graph that was checked, its inputs settled, on its way to a worker.

    `document` is the resolved graph (includes expanded, seeds drawn), so that it can be run without any file.
    """

    owner: str
    """Whose job it is: a digest of the API key, or `local`."""
    graph: str
    """The library name it was asked for by, or `custom`."""
    document: dict[str, Json]
    inputs: dict[str, Json]
    idempotency_key: str = ""
    request: str = ""
    """What was asked for under that key: a digest of the whole request."""
    webhook_url: str = ""
    seconds: float = 3600.0
    """How long it may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a job gives where every result was in the cache: nothing is left to run."""

    files: tuple[File, ...]
    events: tuple[str, ...]
    """As in StoredEvent, the last one being `done`."""
    cached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much there is to do; totals count since the store was made."""

    queued: int
    running: int
    done: int
    failed: int
    cancelled: int
    restarts: int = 0
    """How often a worker had to be started again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it stands; times are seconds since 1970."""

    id: str
    owner: str
    graph: str
    state: State
    inputs: Mapping[str, Json]
    accepted: float
    started: float | None = None
    ended: float | None = None
    error: str = ""
    pictures: int = 0
    cached: int = 0
    """How many nodes did not have to run."""
    ran: int = 0
    attempts: int = 0
    position: int | None = None
    """Jobs before it in the queue, while it is queued."""
    number: int = 0
    """The how-manieth job it is since the store was made."""
    cold: float = 0.0
    """Seconds of its time that went into starting a worker for it."""
    webhook_url: str = ""
    request: str = ""
    """As in NewJob; empty for jobs from before it was kept."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of a job: its number, counted from 1 without gaps, and the event as JSON text."""

    number: int
    data: str


def lateness(seconds: float) -> str:
    """Return why a job failed that was stopped after so many seconds."""
    return f"the job took longer than the {seconds:g} s it may take"


class QueueFull(Exception):
    """No more jobs are accepted now; `retry_after` is a guess in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the queue is full; try again in {retry_after:.0f} s")
        self.retry_after = retry_after


class StoreFull(Exception):
    """Nothing can be kept now: the disk is full, or what may be kept is used up. The message may be shown."""


class Backend(Protocol):
    """Accepts jobs and keeps them until they are over, whatever happens to processes."""

    async def submit(self, job: NewJob, answer: Answer | None = None) -> Job:
        """Accept a job; it is durable when this returns. The same owner and idempotency key give the same job.

        With an `answer` it is done at once and no worker hears of it. Raises QueueFull, StoreFull.
        """
        ...

    async def job(self, owner: str, job_id: str) -> Job | None:
        """Return a job of this owner, or None."""
        ...

    async def job_with_key(self, owner: str, idempotency_key: str) -> Job | None:
        """Return the job that this owner handed in under an idempotency key, or None."""
        ...

    async def jobs(self, owner: str, *, limit: int, before: str | None) -> tuple[Job, ...]:
        """Return the owner's jobs, newest first, from the one accepted before the job `before`."""
        ...

    def events(self, owner: str, job_id: str, after: int) -> AsyncGenerator[StoredEvent, None]:
        """Follow a job's events from number `after + 1` until it is over; close it to stop earlier."""
        ...

    async def wait(self, owner: str, job_id: str, seconds: float) -> Job | None:
        """Return the job when it is over, or as it stands after so many seconds."""
        ...

    async def picture(self, owner: str, job_id: str, index: int) -> File | None:
        """Return one encoded picture of a finished job, or None."""
        ...

    async def cancel(self, owner: str, job_id: str) -> Job | None:
        """Ask a queued or running job to stop; returns it as it stands."""
        ...

    async def ready(self) -> bool:
        """Whether jobs would be run now."""
        ...

    async def unfinished(self, owner: str) -> int:
        """Count the owner's jobs that are queued or running."""
        ...

    async def webhooks_due(self) -> tuple[Job, ...]:
        """Return the jobs of all owners with a webhook that is still to be called: now, or once they are over."""
        ...

    async def hand_on_webhook(self, owner: str, job_id: str) -> bool:
        """Have somebody else call the webhook of a job that is over; False where the caller is to do it."""
        ...

    async def webhook_told(self, job_id: str) -> None:
        """Note that a job's webhook needs no further call."""
        ...

    async def load(self) -> Load:
        """Return how much there is to do."""
        ...
