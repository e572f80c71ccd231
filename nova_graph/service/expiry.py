"""Letting go of old jobs, a few at a time."""

import sqlite3
from collections.abc import Collection

from nova_graph.service.blobs import Blobs
from nova_graph.service.bounds import Retention

AT_ONCE = 200
"""Jobs that are forgotten in one transaction, so that those who are waiting to be accepted do not wait long."""


def forget_some(db: sqlite3.Connection, now: float, keep: Retention) -> tuple[int, set[str]]:
    """Forget the oldest jobs that are over and too old, too many, or too large together.

    Returns how many, and the blobs they had. Jobs whose webhook is still to be told are kept.
    """
    count, size = db.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM jobs WHERE ended IS NOT NULL").fetchone()
    rows = db.execute(
        "SELECT number, ended, bytes, state FROM jobs INDEXED BY jobs_over WHERE ended IS NOT NULL AND NOT webhook_due "
        "ORDER BY ended, number LIMIT ?",
        (AT_ONCE,),
    ).fetchall()
    gone: list[tuple[int, str]] = []
    for number, ended, bytes_, state in rows:
        if ended >= now - keep.seconds and count <= keep.jobs and size <= keep.bytes:
            break
        gone.append((number, state))
        count -= 1
        size -= bytes_
    return len(gone), _delete(db, gone)


def remove_unreferenced(db: sqlite3.Connection, blobs: Blobs, names: Collection[str]) -> None:
    """Delete the files of blobs that no picture refers to.

    It is called where changes to the ledger are made, so that none can begin to refer to one meanwhile.
    """
    for name in names:
        if db.execute("SELECT 1 FROM pictures WHERE blob = ? LIMIT 1", (name,)).fetchone() is None:
            blobs.remove(name)


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
