"""The jobs, their events and their pictures, in a folder that one service at a time may use.

ledger.sqlite   jobs, events and what is known of pictures
blobs/          the pictures
lock            held by the service while it lives
"""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from filelock import FileLock, Timeout

from engine.errors import CacheError
from nodes.values import File
from nova_graph.service import transitions
from nova_graph.service.backend import StoreFull
from nova_graph.service.blobs import Blobs, name_of
from nova_graph.service.bounds import Retention
from nova_graph.service.commits import Change, Commits
from nova_graph.service.event_text import Lines
from nova_graph.service.expiry import forget_some, remove_unreferenced
from nova_graph.service.readings import Readings
from nova_graph.service.schema import open_reader, open_writer
from nova_graph.service.transitions import Entry, Outcome, Picture

T = TypeVar("T")

_log = logging.getLogger(__name__)

_FREE_FOR = 1.0
"""Seconds for which a look at the free space is believed."""


class Ledger:
    """Everything that outlives the service. Made with `open_ledger`, used from one event loop."""

    def __init__(self, folder: Path, keep: Retention, lock: FileLock) -> None:
        self._folder = folder
        self._keep = keep
        self._lock = lock
        self._blobs = Blobs(folder / "blobs")
        self._commits = Commits(open_writer(folder / "ledger.sqlite"))
        self.read = Readings(open_reader(folder / "ledger.sqlite"))
        """What was committed."""
        self._free_until = 0.0
        self._written = 0
        self._look = asyncio.Event()

    @property
    def commits(self) -> int:
        """How many commits there were."""
        return self._commits.count

    async def close(self) -> None:
        """Finish what was asked for and let another service have the folder."""
        await self._commits.close()
        self.read.close()
        self._lock.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Jobs

    def accept(self, entry: Entry, lines: Lines) -> "asyncio.Future[bool]":
        """Enter a job that waits. Raises StoreFull, at once or from the future."""
        self.check_space(len(entry.document))
        return self.make(partial(transitions.accept, entry=entry, lines=lines))

    async def accept_answered(self, entry: Entry, outcome: Outcome, files: Sequence[File], lines: Lines) -> None:
        """Enter a job that is done already, with its pictures; not to be cancelled. Raises StoreFull."""

        def change(pictures: tuple[Picture, ...]) -> Change[bool]:
            whole = replace(outcome, pictures=pictures)
            return partial(transitions.accept_answered, entry=entry, outcome=whole, lines=lines)

        self.check_space(len(entry.inputs))
        await self._store(files, change)

    async def finish(self, number: int, outcome: Outcome, files: Sequence[File], lines: Lines) -> bool:
        """End a job, with its pictures; False where it was over; not to be cancelled. Raises StoreFull."""

        def change(pictures: tuple[Picture, ...]) -> Change[bool]:
            whole = replace(outcome, pictures=pictures)
            return partial(transitions.finish, number=number, outcome=whole, lines=lines)

        return await self._store(files, change)

    def make(self, change: Change[T]) -> "asyncio.Future[T]":
        """Make a change of `transitions`."""
        return self._commits.make(change)

    def note(self, change: Change[Any], *, patiently: bool = False) -> "asyncio.Future[Any]":
        """Make a change that nobody need wait for; if it fails, the log says so. See `Commits.make`."""
        future = self._commits.make(change, patiently=patiently)
        future.add_done_callback(_log_failure)
        return future

    async def picture(self, owner: str, job_id: str, position: int) -> File | None:
        """Read a picture of a finished job; None where there is none, or its file is gone or damaged."""
        row = self.read.picture(owner, job_id, position)
        data = await asyncio.to_thread(self._blobs.read, row.blob) if row is not None else None
        if row is None or data is None:
            return None
        return File(data, row.media_type, row.width, row.height, row.seed, row.pixel_sha256)

    # Space

    def check_space(self, size: int) -> None:
        """Raise StoreFull where the disk, or what may be kept, has no room for this many bytes."""
        now = time.monotonic()
        if now >= self._free_until or size > self._keep.spare // 4:
            disk = os.statvfs(self._folder)
            if disk.f_bavail * disk.f_frsize < self._keep.spare + size:
                self._look.set()
                raise StoreFull("the disk of the service is full")
            self._free_until = now + _FREE_FOR
        self._written += size
        if self._written > self._keep.bytes // 20:
            self._look.set()

    async def expire(self, now: float | None = None) -> int:
        """Forget jobs that are over as `Retention` says; returns how many."""
        forgotten = 0
        self._written = 0
        while True:
            moment = time.time() if now is None else now
            change: Change[tuple[int, set[str]]] = partial(forget_some, now=moment, keep=self._keep)
            count, blobs = await self.make(change)
            if blobs:
                await self.make(partial(remove_unreferenced, blobs=self._blobs, names=blobs))
            if not count:
                return forgotten
            forgotten += count

    async def expire_forever(self) -> None:
        """Look for what has expired now and then, and whenever much was written."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), self._keep.interval)
            self._look.clear()
            try:
                await self.expire()
            except (StoreFull, sqlite3.Error):
                _log.exception("old jobs could not be forgotten")
            # A full disk asks for a look with every job that is refused.
            await asyncio.sleep(min(1.0, self._keep.interval))

    def sweep(self) -> int:
        """Delete blobs that nothing refers to; only before any job is accepted."""
        return self._blobs.sweep(self.read.blobs())

    async def _store(self, files: Sequence[File], change: Callable[[tuple[Picture, ...]], Change[bool]]) -> bool:
        if not files:
            return await self.make(change(()))
        size = sum(len(file.data) for file in files)
        self.check_space(size)
        names = await asyncio.to_thread(lambda: [name_of(file.data) for file in files])
        with self._blobs.pinned(names):
            await asyncio.to_thread(self._write, files)
            pictures = tuple(_picture(name, file) for name, file in zip(names, files, strict=True))
            return await self.make(change(pictures))

    def _write(self, files: Sequence[File]) -> None:
        for file in files:
            self._blobs.write(file.data)


async def open_ledger(folder: Path, keep: Retention | None = None) -> Ledger:
    """Open the ledger in a folder, making it if need be.

    Raises CacheError where it cannot be used, is damaged, or another service is using it.
    """
    lock = FileLock(folder / "lock", timeout=0)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise CacheError(
            f"another service is using {folder}", hint="Stop it, or give this one a folder of its own."
        ) from None
    except OSError as error:
        raise CacheError(f"the folder {folder} cannot be used: {error.strerror}") from error
    try:
        ledger = Ledger(folder, keep or Retention(), lock)
    except BaseException:
        lock.release()
        raise
    await asyncio.to_thread(ledger.sweep)
    return ledger


def _picture(name: str, file: File) -> Picture:
    return Picture(
        blob=name,
        size=len(file.data),
        media_type=file.media_type,
        width=file.width,
        height=file.height,
        seed=file.seed,
        pixel_sha256=file.pixel_sha256,
    )


def _log_failure(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled() and future.exception() is not None:
        _log.error("a change to the ledger was not made: %s", future.exception())
