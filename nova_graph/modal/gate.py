"""Looking at the Volume and reloading it, never both: while it reloads, it looks empty."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nova_graph.modal.volume import Shared

FRESH = 2.0
"""Seconds for which the Volume is taken to be as it was last seen."""


class Gate:
    """Lets many look at the Volume at once, and reloads it before a look where that is due, with nobody inside."""

    def __init__(self, volume: Shared, fresh: float = FRESH) -> None:
        self._volume = volume
        self._fresh = fresh
        self._seen = float("-inf")
        self._entering = asyncio.Lock()
        self._inside = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @asynccontextmanager
    async def look(self, since: float = float("-inf")) -> AsyncIterator[None]:
        """Take in what other containers wrote, then keep the Volume as it is until this ends.

        What they wrote before `since`, by `time.monotonic()`, is among it for certain.
        """
        async with self._entering:
            if self._seen < max(since, time.monotonic() - self._fresh):
                await self._is_empty.wait()
                began = time.monotonic()
                if await asyncio.to_thread(self._volume.refresh):
                    self._seen = began
            self._inside += 1
            self._is_empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._is_empty.set()
