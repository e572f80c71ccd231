"""Changes to the ledger, many of them under one commit.

A commit waits for the disk. All changes that come while one commit is waiting share the next, so a crowd of jobs
costs a few waits. Changes that nobody waits for share the commit of the next one that somebody does wait for.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

from nova_graph.service.backend import StoreFull

T = TypeVar("T")

Change = Callable[[sqlite3.Connection], T]

MOST_TOGETHER: Final = 1000
"""Changes in one transaction."""

PATIENCE: Final = 0.005
"""Seconds that a change may wait for another to share its commit with."""

_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


@dataclass(frozen=True, slots=True)
class _Asked:
    change: Change[Any]
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Answered:
    future: asyncio.Future[Any]
    result: object = None
    error: Exception | None = None


class Commits:
    """Makes changes in order, in a thread of its own; a future is resolved once its change is on the disk."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._held: list[_Asked] = []
        """Changes that wait for another."""
        self._timer: asyncio.TimerHandle | None = None
        self._asked: SimpleQueue[list[_Asked] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._work, name="nova-graph ledger", daemon=True)
        self._thread.start()
        self.count = 0
        """Commits so far."""

    def make(self, change: Change[T], *, patiently: bool = False) -> "asyncio.Future[T]":
        """Make a change after all that came before; the future raises StoreFull where the disk does not take it.

        One that is made `patiently` may wait for another: up to `PATIENCE`, unless the process is killed before.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._held.append(_Asked(change, future))
        if not patiently:
            self._hand_over()
        elif self._timer is None:
            self._timer = self._loop.call_later(PATIENCE, self._hand_over)
        return future

    async def close(self) -> None:
        """Make what was asked for, then close the connection."""
        self._hand_over()
        self._asked.put(None)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held = self._held, []
        if held:
            self._asked.put(held)

    def _work(self) -> None:
        more = True
        while more:
            batch = self._asked.get()
            if batch is None:
                break
            more = self._gather(batch)
            answers = self._perform(batch)
            self._deliver(answers)
        self._connection.close()

    def _gather(self, batch: list[_Asked]) -> bool:
        """Take what else is waiting; False if the end was among it."""
        while len(batch) < MOST_TOGETHER:
            try:
                asked = self._asked.get_nowait()
            except Empty:
                return True
            if asked is None:
                return False
            batch.extend(asked)
        return True

    def _perform(self, batch: list[_Asked]) -> list[_Answered]:
        try:
            results = self._commit(batch)
        except Exception as error:  # noqa: BLE001 - whoever asked gets to know
            if len(batch) == 1:
                return [_Answered(batch[0].future, error=_told(error))]
            # One of them spoilt it for all: each on its own.
            return [answer for asked in batch for answer in self._perform([asked])]
        return [_Answered(asked.future, result) for asked, result in zip(batch, results, strict=True)]

    def _commit(self, batch: list[_Asked]) -> list[object]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            results = [asked.change(self._connection) for asked in batch]
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self.count += 1
        return results

    def _deliver(self, answers: list[_Answered]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: list[_Answered]) -> None:
    for answer in answers:
        if answer.future.done():
            continue
        if answer.error is not None:
            answer.future.set_exception(answer.error)
        else:
            answer.future.set_result(answer.result)


def _told(error: Exception) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0)
    if isinstance(error, sqlite3.Error) and code & 0xFF in _FULL:
        full = StoreFull(f"the disk does not take more: {error}")
        full.__cause__ = error
        return full
    return error
