"""The tables of the ledger, and connections to them."""

import sqlite3
from pathlib import Path
from typing import Final

from engine.errors import CacheError

VERSION: Final = 2

TABLES: Final = """
CREATE TABLE jobs(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  graph TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
  inputs TEXT NOT NULL,
  idempotency_key TEXT,
  request TEXT NOT NULL DEFAULT '',
  webhook_url TEXT NOT NULL,
  webhook_due INTEGER NOT NULL DEFAULT 0,
  seconds REAL NOT NULL,
  accepted REAL NOT NULL,
  started REAL,
  ended REAL,
  error TEXT NOT NULL DEFAULT '',
  pictures INTEGER NOT NULL DEFAULT 0,
  cached INTEGER NOT NULL DEFAULT 0,
  ran INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  careful INTEGER NOT NULL DEFAULT 0,
  cancelled INTEGER NOT NULL DEFAULT 0,
  cold REAL NOT NULL DEFAULT 0,
  last_event INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  CHECK ((ended IS NULL) = (state IN ('queued', 'running')))
) STRICT;
CREATE UNIQUE INDEX jobs_by_idempotency ON jobs(owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_by_owner ON jobs(owner, number);
CREATE INDEX jobs_open ON jobs(number) WHERE ended IS NULL;
CREATE INDEX jobs_over ON jobs(ended, number, bytes) WHERE ended IS NOT NULL;
CREATE INDEX jobs_to_tell ON jobs(number) WHERE webhook_due;
CREATE TABLE documents(job INTEGER PRIMARY KEY, document BLOB NOT NULL) STRICT;
CREATE TABLE events(
  job INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, lines TEXT NOT NULL, PRIMARY KEY(job, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE pictures(
  job INTEGER NOT NULL,
  position INTEGER NOT NULL,
  blob TEXT NOT NULL,
  media_type TEXT NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  seed TEXT,
  pixel_sha256 TEXT NOT NULL,
  PRIMARY KEY(job, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX pictures_by_blob ON pictures(blob);
CREATE TABLE forgotten(state TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""

VIEW: Final = """
CREATE VIEW shown AS SELECT
  number, id, owner, graph, state, inputs, webhook_url, request, accepted, started, ended, error, pictures, cached,
  ran, attempts, cold FROM jobs;
"""

FROM_VERSION_1: Final = f"ALTER TABLE jobs ADD COLUMN request TEXT NOT NULL DEFAULT ''; DROP VIEW shown; {VIEW}"


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the ledger for writing, making it if need be. A commit is on the disk when it returns.

    Raises CacheError where it is damaged, or from a newer version.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = _connect(path)
    except (sqlite3.Error, OSError) as error:
        raise _unusable(path, error) from error
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 2000")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        _make_tables(connection, path)
        path.chmod(0o600)
    except (sqlite3.Error, OSError) as error:
        connection.close()
        raise _unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the ledger for reading; sees everything that was committed. Raises CacheError."""
    try:
        connection = _connect(path)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    connection.row_factory = sqlite3.Row
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False, cached_statements=64)


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version in (1, VERSION):
        fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise _unusable(path, fault)
        if version == 1:
            _change(connection, FROM_VERSION_1)
    elif version == 0:
        _change(connection, TABLES + VIEW)
    else:
        raise CacheError(
            f"the ledger of jobs {path} was written by a newer version",
            hint="Use that version, or move the folder away to start afresh.",
        )


def _change(connection: sqlite3.Connection, script: str) -> None:
    connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {VERSION}; COMMIT;")


def _unusable(path: Path, why: object) -> CacheError:
    return CacheError(
        f"the ledger of jobs {path} cannot be used: {why}",
        hint="Check the disk and who may write there, or move the folder away to start afresh.",
    )
