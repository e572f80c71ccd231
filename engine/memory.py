"""Outputs kept in memory, least recently used ones let go first."""

import sys
from collections import OrderedDict
from threading import Lock

from engine.node import Output
from engine.values import nbytes


class Memory:
    """Outputs by key, under a budget in bytes; safe to use from many threads.

    The sizes are estimates (`engine.values.nbytes`); what two outputs share is counted twice.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget = budget_bytes
        self._held: OrderedDict[str, tuple[Output, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: str) -> Output | None:
        """Return the output, now the most recently used, or None."""
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return None
            self._held.move_to_end(key)
            return held[0]

    def put(self, key: str, output: Output) -> None:
        """Keep an output, letting go of others if need be; one larger than the whole budget is not kept."""
        size = size_of(output)
        with self._lock:
            self._drop(key)
            if size > self.budget:
                return
            self._held[key] = (output, size)
            self._bytes += size
            while self._bytes > self.budget:
                self._drop(next(iter(self._held)))

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._held.clear()
            self._bytes = 0

    @property
    def bytes(self) -> int:
        """About how much is held."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: str) -> bool:
        return key in self._held

    def _drop(self, key: str) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._bytes -= held[1]


def size_of(output: Output) -> int:
    """Return about how many bytes an output holds; endless where it is nested too deep to tell."""
    try:
        return 64 + sum(nbytes(value) for value in vars(output).values())
    except RecursionError:
        return sys.maxsize
