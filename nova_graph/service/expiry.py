"""Letting go of old jobs, a few at a time."""

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from nova_graph.service.blobs import Blobs
from nova_graph.service.bounds import Retention

AT_ONCE = 200
"""Jobs that are forgotten in one transaction, so that those who are waiting to be accepted do not wait long."""


@dataclass(frozen=True, slots=True)
class _Over:
    """A job that is over."""

    number: int
    size: int
    state: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of an owner."""

    owner: str
    count: int = 0
    size: int = 0

    def share(self, keep: Retention) -> float:
        """Return which part this is of what may be kept; above 1, it is too much."""
        return max(self.count / max(keep.jobs, 0.5), self.size / max(keep.bytes, 0.5))

    def without(self, job: _Over) -> "_Kept":
        """Return what is left when a job is forgotten."""
        return _Kept(self.owner, self.count - 1, self.size - job.size)


def forget_some(db: sqlite3.Connection, now: float, keep: Retention) -> tuple[int, set[str]]:
    """Forget the oldest jobs that are over and too old; then, where they are too many or too large, the surplus.

    The surplus is taken from the owner who keeps the most: nobody's crowd pushes out what others keep. Returns how many
    jobs were forgotten, and the blobs they had. Jobs whose webhook is still to be told are kept.
    """
    gone = _old(db, now - keep.seconds) or _surplus(db, keep)
    return len(gone), _delete(db, [(job.number, job.state) for job in gone])


def remove_unreferenced(db: sqlite3.Connection, blobs: Blobs, names: Collection[str]) -> None:
    """Delete the files of blobs that no picture refers to.

    It is called where changes to the ledger are made, so that none can begin to refer to one meanwhile.
    """
    for name in names:
        if db.execute("SELECT 1 FROM pictures WHERE blob = ? LIMIT 1", (name,)).fetchone() is None:
            blobs.remove(name)


def _old(db: sqlite3.Connection, before: float) -> list[_Over]:
    rows = db.execute(
        "SELECT number, bytes, state FROM jobs INDEXED BY jobs_over WHERE ended IS NOT NULL AND ended < ? "
        "AND NOT webhook_due ORDER BY ended, number LIMIT ?",
        (before, AT_ONCE),
    )
    return [_Over(*row) for row in rows]


def _surplus(db: sqlite3.Connection, keep: Retention) -> list[_Over]:
    row = db.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM jobs WHERE ended IS NOT NULL").fetchone()
    everything = _Kept("", *row)
    if everything.share(keep) <= 1:
        return []
    rows = db.execute("SELECT owner, count(*), sum(bytes) FROM jobs WHERE ended IS NOT NULL GROUP BY owner")
    owners = sorted((_Kept(*row) for row in rows), key=lambda kept: kept.share(keep), reverse=True)
    for largest, following in zip(owners, [*owners[1:], _Kept("")], strict=True):
        kept = largest
        gone = _oldest_of(db, largest.owner)
        for place, job in enumerate(gone):
            if everything.share(keep) <= 1 or (place and kept.share(keep) < following.share(keep)):
                return gone[:place]
            everything, kept = everything.without(job), kept.without(job)
        if gone:
            return gone
    return []


def _oldest_of(db: sqlite3.Connection, owner: str) -> list[_Over]:
    rows = db.execute(
        "SELECT number, bytes, state FROM jobs WHERE owner = ? AND ended IS NOT NULL AND NOT webhook_due "
        "ORDER BY ended, number LIMIT ?",
        (owner, AT_ONCE),
    )
    return [_Over(*row) for row in rows]


def _delete(db: sqlite3.Connection, gone: list[tuple[int, str]]) -> set[str]:
    names: set[str] = set()
    for number, state in gone:
        names.update(row[0] for row in db.execute("SELECT blob FROM pictures WHERE job = ?", (number,)))
        db.execute("DELETE FROM pictures WHERE job = ?", (number,))
        db.execute("DELETE FROM events WHERE job = ?", (number,))
        db.execute("DELETE FROM jobs WHERE number = ?", (number,))
        db.execute("INSERT INTO forgotten VALUES (?, 1) ON CONFLICT(state) DO UPDATE SET count = count + 1", (state,))
    if gone:
        db.execute("PRAGMA incremental_vacuum(1000)").fetchall()
    return names
