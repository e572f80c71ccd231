"""Jobs as they are kept in two Modal Dicts: one entry a job, and apart from these its events in numbered pieces.

Entries expire a week after they were last touched, as Modal's results do.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nodes.values import File
from nova_graph.modal.wire import to_files
from nova_graph.service.backend import Job, NewJob, State

Entry = dict[str, Any]
COUNT = "count"
"""The key of how many jobs there were."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Two Modal Dicts."""

    records: Any
    """Jobs by id, and nothing else: all of it is read where jobs are listed or counted."""
    rest: Any
    """Events, pictures, idempotency keys and calls, by the keys of this module."""


def claim_key(owner: str, idempotency_key: str) -> str:
    """Return the key under which an idempotency key leads to a job."""
    return f"claim/{owner}/{idempotency_key}"


def piece_key(job_id: str, piece: int) -> str:
    """Return the key of a piece of a job's events, counted from 0."""
    return f"events/{job_id}/{piece}"


def files_key(job_id: str) -> str:
    """Return the key of the pictures of a job that no container ran."""
    return f"files/{job_id}"


def told_key(job_id: str) -> str:
    """Return the key that is taken by whoever has a job's webhook called."""
    return f"told/{job_id}"


def call_key(job_id: str) -> str:
    """Return the key of the id of the call that runs a job."""
    return f"call/{job_id}"


def cancel_key(job_id: str) -> str:
    """Return the key that is taken when somebody asks for a job to be cancelled."""
    return f"cancel/{job_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A job; `pieces` is how many pieces of events there are once it is over."""

    job: Job
    pieces: int = 0
    is_told: bool = False
    """Whether its webhook needs no further call."""


def new_record(job: NewJob, number: int, state: State = "queued") -> Record:
    """Return the record of a job that is accepted now."""
    return Record(
        job=Job(
            id=secrets.token_urlsafe(16),
            owner=job.owner,
            graph=job.graph,
            state=state,
            inputs=job.inputs,
            accepted=time.time(),
            number=number,
            webhook_url=job.webhook_url,
            request=job.request,
        )
    )


def to_entry(record: Record) -> Entry:
    """Return a record as plain data, which every version can read."""
    return {**asdict(record), "job": asdict(record.job)}


def from_entry(entry: Entry) -> Record:
    """Return the record of an entry."""
    return Record(**{**entry, "job": Job(**entry["job"])})


def ended(record: Record, state: State, **changes: Any) -> Record:
    """Return a record of a job that is over."""
    return replace(record, job=replace(record.job, state=state, ended=time.time(), **changes))


def to_plain_files(files: Sequence[File]) -> list[Entry]:
    """Return pictures as plain data."""
    return [asdict(file) for file in files]


def from_plain_files(entries: Sequence[Entry]) -> list[File]:
    """Return the pictures of plain data."""
    return list(to_files({"files": entries}))
