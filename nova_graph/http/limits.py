"""How much one key may ask for at a time."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from nova_graph.http.kinds import LIMIT
from nova_graph.http.problems import Trouble, too_many
from nova_graph.http.settings import HttpSettings

WRONG_KEYS = 30
"""Wrong keys that one address may try in a minute."""

WAIT_AGAIN = 5
"""Seconds after which somebody with too many open requests should come back."""


Take = Callable[[int], None]


class Limits:
    """Counts requests by key, wrong keys by address, requests that stay open by key, and bytes of bodies by key."""

    def __init__(self, settings: HttpSettings) -> None:
        self._windows = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._rate = RateLimitItemPerMinute(settings.rate) if settings.rate and settings.keys else None
        self._wrong = RateLimitItemPerMinute(WRONG_KEYS)
        self._most_open = settings.waits
        self._open: Counter[str] = Counter()
        self._most_bytes = settings.bodies
        self._most_own_bytes = settings.own_bodies
        self._bytes: Counter[str] = Counter()

    def count_request(self, owner: str) -> None:
        """Count a request; raises Trouble where there were too many."""
        if self._rate is not None and not self._windows.hit(self._rate, "request", owner):
            raise too_many(f"More than {self._rate.amount} requests in a minute.", self._wait(self._rate, owner))

    def count_wrong_key(self, address: str) -> None:
        """Count a wrong key; raises Trouble where there were too many from this address."""
        if not self._windows.hit(self._wrong, "wrong", address):
            raise too_many("Too many wrong keys from this address.", 60)

    @contextmanager
    def open_request(self, owner: str) -> Iterator[None]:
        """Hold one of the owner's places for requests that stay open; raises Trouble where all are taken."""
        if self._open[owner] >= self._most_open:
            raise too_many(f"More than {self._most_open} requests of this key are open.", WAIT_AGAIN)
        self._open[owner] += 1
        try:
            yield
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]

    @contextmanager
    def body(self, owner: str) -> Iterator[Take]:
        """Give what is called with the size of each piece of a body before it is held in memory; it raises Trouble."""
        held = 0

        def take(size: int) -> None:
            nonlocal held
            if self._bytes[owner] + size > self._most_own_bytes:
                raise too_many("Too much is being sent in with this key.", WAIT_AGAIN, close=True)
            if self._bytes.total() + size > self._most_bytes:
                headers = {"Retry-After": str(WAIT_AGAIN), "Connection": "close"}
                raise Trouble(503, "Too much is being sent in.", kind=LIMIT, headers=headers)
            held += size
            self._bytes[owner] += size

        try:
            yield take
        finally:
            self._bytes[owner] -= held
            if not self._bytes[owner]:
                del self._bytes[owner]

    def _wait(self, rate: RateLimitItemPerMinute, owner: str) -> float:
        return self._windows.get_window_stats(rate, "request", owner).reset_time - time.time()
