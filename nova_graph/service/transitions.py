"""What can happen to a job in the ledger; each change brings its events along: neither is there without the other."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nova_graph.service.event_text import Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job as it enters the ledger; `inputs` is JSON text, `document` the graph as JSON."""

    number: int
    id: str
    owner: str
    graph: str
    inputs: str
    document: bytes
    idempotency_key: str
    request: str
    webhook_url: str
    seconds: float
    accepted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a job: its blob and what is known of it."""

    blob: str
    size: int
    media_type: str
    width: int
    height: int
    seed: int | None
    pixel_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended."""

    state: Literal["done", "failed", "cancelled"]
    ended: float
    error: str = ""
    cached: int = 0
    ran: int = 0
    pictures: tuple[Picture, ...] = ()


def accept(db: sqlite3.Connection, entry: Entry, lines: Lines) -> bool:
    """Enter a job that waits."""
    _insert(db, entry)
    db.execute("INSERT INTO documents VALUES (?, ?)", (entry.number, entry.document))
    return append(db, entry.number, lines)


def accept_answered(db: sqlite3.Connection, entry: Entry, outcome: Outcome, lines: Lines) -> bool:
    """Enter a job that is done already."""
    _insert(db, entry)
    db.execute("UPDATE jobs SET started = accepted WHERE number = ?", (entry.number,))
    return finish(db, entry.number, outcome, lines)


def count_attempt(db: sqlite3.Connection, number: int, attempts: int) -> bool:
    """Note that a job is about to be begun, before it is."""
    cursor = db.execute("UPDATE jobs SET attempts = ? WHERE number = ? AND ended IS NULL", (attempts, number))
    return cursor.rowcount > 0


def begin(db: sqlite3.Connection, number: int, lines: Lines, *, at: float, cold: float, attempts: int) -> bool:
    """Note that a worker has begun a job."""
    row = db.execute(
        "UPDATE jobs SET state = 'running', started = ?, cold = ?, attempts = ?, "
        "last_event = last_event + ?, bytes = bytes + ? WHERE number = ? AND state = 'queued' RETURNING last_event",
        (at, cold, attempts, len(lines.texts), lines.size, number),
    ).fetchone()
    return _record(db, number, row, lines)


def append(db: sqlite3.Connection, number: int, lines: Lines) -> bool:
    """Add events to a job that is not over."""
    row = db.execute(
        "UPDATE jobs SET last_event = last_event + ?, bytes = bytes + ? WHERE number = ? AND ended IS NULL "
        "RETURNING last_event",
        (len(lines.texts), lines.size, number),
    ).fetchone()
    return _record(db, number, row, lines)


def put_back(db: sqlite3.Connection, number: int, lines: Lines, *, attempts: int, careful: bool) -> bool:
    """Let a running job wait again."""
    row = db.execute(
        "UPDATE jobs SET state = 'queued', started = NULL, attempts = ?, careful = ?, "
        "last_event = last_event + ?, bytes = bytes + ? WHERE number = ? AND state = 'running' RETURNING last_event",
        (attempts, careful, len(lines.texts), lines.size, number),
    ).fetchone()
    return _record(db, number, row, lines)


def finish(db: sqlite3.Connection, number: int, outcome: Outcome, lines: Lines) -> bool:
    """End a job that is not over; False, and nothing is changed, where it is."""
    size = lines.size + sum(picture.size for picture in outcome.pictures)
    row = db.execute(
        "UPDATE jobs SET state = ?, ended = ?, error = ?, cached = ?, ran = ?, pictures = ?, "
        "last_event = last_event + ?, bytes = bytes + ?, webhook_due = webhook_url != '' "
        "WHERE number = ? AND ended IS NULL RETURNING last_event",
        (
            outcome.state,
            outcome.ended,
            outcome.error,
            outcome.cached,
            outcome.ran,
            len(outcome.pictures),
            len(lines.texts),
            size,
            number,
        ),
    ).fetchone()
    if not _record(db, number, row, lines):
        return False
    if outcome.pictures:
        _insert_pictures(db, number, outcome.pictures)
    db.execute("DELETE FROM documents WHERE job = ?", (number,))
    return True


def ask_to_stop(db: sqlite3.Connection, number: int) -> bool:
    """Note that somebody cancelled a job that is running."""
    cursor = db.execute("UPDATE jobs SET cancelled = 1 WHERE number = ? AND ended IS NULL", (number,))
    return cursor.rowcount > 0


def webhook_told(db: sqlite3.Connection, job_id: str) -> None:
    """Note that a job's webhook needs no further call."""
    db.execute("UPDATE jobs SET webhook_due = 0 WHERE id = ?", (job_id,))


def _insert(db: sqlite3.Connection, entry: Entry) -> None:
    db.execute(
        "INSERT INTO jobs(number, id, owner, graph, state, inputs, idempotency_key, request, webhook_url, seconds, "
        "accepted, bytes) VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.number,
            entry.id,
            entry.owner,
            entry.graph,
            entry.inputs,
            entry.idempotency_key or None,
            entry.request,
            entry.webhook_url,
            entry.seconds,
            entry.accepted,
            len(entry.inputs),
        ),
    )


def _insert_pictures(db: sqlite3.Connection, number: int, pictures: Sequence[Picture]) -> None:
    db.executemany(
        "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number,
                position,
                picture.blob,
                picture.media_type,
                picture.width,
                picture.height,
                # Seeds reach 2^64, SQLite's integers only 2^63.
                None if picture.seed is None else str(picture.seed),
                picture.pixel_sha256,
            )
            for position, picture in enumerate(pictures)
        ],
    )


def _record(db: sqlite3.Connection, number: int, row: tuple[int] | None, lines: Lines) -> bool:
    """Write events whose numbers end at what the job's row now says; False where there was no such row."""
    if row is None:
        return False
    if lines.texts:
        last = row[0]
        first = last - len(lines.texts) + 1
        db.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (number, first, last, "\n".join(lines.texts)))
    return True
