"""What is read from the ledger."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Final, cast

from nova_graph.service.backend import Job, State, StoredEvent

PAGE_BYTES: Final = 1 << 20
"""About how much of a job's events is read at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A job that was not over when the service stopped."""

    number: int
    id: str
    owner: str
    graph: str
    state: State
    inputs: str
    accepted: float
    webhook_url: str
    request: str
    seconds: float
    attempts: int
    careful: bool
    cancelled: bool
    last_event: int
    document_size: int


@dataclass(frozen=True, slots=True)
class PictureRow:
    """Where a picture is and what is known of it."""

    blob: str
    media_type: str
    width: int
    height: int
    seed: int | None
    pixel_sha256: str


class Readings:
    """Reads through a connection of its own; what is not committed is not seen."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def last_number(self) -> int:
        """Return the number of the newest job there ever was."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
        return int(row["seq"]) if row else 0

    def unfinished(self) -> list[Unfinished]:
        """Return the jobs that are not over, oldest first."""
        rows = self._db.execute(
            "SELECT number, id, owner, graph, state, inputs, accepted, webhook_url, request, seconds, attempts, "
            "careful, cancelled, last_event, length(document) AS document_size FROM jobs "
            "JOIN documents ON documents.job = jobs.number WHERE ended IS NULL ORDER BY number"
        )
        return [_unfinished(row) for row in rows]

    def document(self, number: int) -> bytes | None:
        """Return the graph of a job that is not over."""
        row = self._db.execute("SELECT document FROM documents WHERE job = ?", (number,)).fetchone()
        return bytes(row["document"]) if row else None

    def job(self, owner: str, job_id: str) -> Job | None:
        """Return a job of an owner."""
        row = self._db.execute("SELECT * FROM shown WHERE id = ? AND owner = ?", (job_id, owner)).fetchone()
        return _job(row) if row else None

    def job_with_key(self, owner: str, idempotency_key: str) -> Job | None:
        """Return the job that an owner gave this idempotency key."""
        row = self._db.execute(
            "SELECT * FROM shown WHERE number = (SELECT number FROM jobs WHERE owner = ? AND idempotency_key = ?)",
            (owner, idempotency_key),
        ).fetchone()
        return _job(row) if row else None

    def jobs(self, owner: str, *, limit: int, before: str | None) -> tuple[Job, ...]:
        """Return an owner's jobs, newest first, older than the job `before`."""
        rows = self._db.execute(
            "SELECT * FROM shown WHERE owner = :owner AND (:before IS NULL OR number < "
            "(SELECT number FROM jobs WHERE id = :before AND owner = :owner)) ORDER BY number DESC LIMIT :limit",
            {"owner": owner, "before": before, "limit": limit},
        )
        return tuple(_job(row) for row in rows)

    def events(self, number: int, after: int) -> list[StoredEvent]:
        """Return some events of a job from number `after + 1` on; none where there are no more."""
        found: list[StoredEvent] = []
        size = 0
        rows = self._db.execute(
            "SELECT first, lines FROM events WHERE job = ? AND last > ? ORDER BY first", (number, after)
        )
        for row in rows:
            for offset, line in enumerate(row["lines"].split("\n")):
                if row["first"] + offset > after:
                    found.append(StoredEvent(row["first"] + offset, line))
            size += len(row["lines"])
            if size > PAGE_BYTES:
                break
        return found

    def picture(self, owner: str, job_id: str, position: int) -> PictureRow | None:
        """Return a picture of a finished job."""
        row = self._db.execute(
            "SELECT blob, media_type, width, height, seed, pixel_sha256 FROM pictures WHERE position = ? AND job = "
            "(SELECT number FROM jobs WHERE id = ? AND owner = ?)",
            (position, job_id, owner),
        ).fetchone()
        if row is None:
            return None
        return PictureRow(**{**dict(row), "seed": None if row["seed"] is None else int(row["seed"])})

    def webhooks_due(self) -> tuple[Job, ...]:
        """Return jobs with webhooks that are not over, or were not told yet that they are; oldest first."""
        rows = self._db.execute(
            "SELECT * FROM shown WHERE number IN (SELECT number FROM jobs WHERE webhook_due "
            "UNION ALL SELECT number FROM jobs WHERE ended IS NULL AND webhook_url != '') ORDER BY number"
        )
        return tuple(_job(row) for row in rows)

    def totals(self) -> dict[str, int]:
        """Count the jobs that are over, by state; those that were forgotten meanwhile are counted too."""
        rows = self._db.execute(
            "SELECT state, sum(count) AS count FROM (SELECT state, count(*) AS count FROM jobs GROUP BY state "
            "UNION ALL SELECT state, count FROM forgotten) GROUP BY state"
        )
        return {row["state"]: int(row["count"]) for row in rows}

    def blobs(self) -> set[str]:
        """Return the names of all blobs that pictures refer to."""
        return {row["blob"] for row in self._db.execute("SELECT DISTINCT blob FROM pictures")}


def _job(row: sqlite3.Row) -> Job:
    words = dict(row)
    return Job(**{**words, "inputs": json.loads(words["inputs"]), "state": cast("State", words["state"])})


def _unfinished(row: sqlite3.Row) -> Unfinished:
    words = dict(row)
    return Unfinished(**{**words, "careful": bool(words["careful"]), "cancelled": bool(words["cancelled"])})
