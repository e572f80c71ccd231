"""Lines about weights that are read for the first time."""

from collections.abc import Callable

from nova_graph.cli.plain import size

_LONG = 100_000_000
"""Files of fewer bytes are read before anybody wonders."""

_PARTS = 4


class FirstReading:
    """Says that a big file is read once to know it by its content, and how far, in quarters."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._part = 0

    def __call__(self, done: int, total: int | None, what: str) -> None:
        """Take note of `done` of `total` bytes of a file."""
        if total is None or total < _LONG:
            return
        if done == 0:
            self._part = 0
            self._write(f"reading {what} once ({size(total)}), to know it by its content\n")
        elif (part := done * _PARTS // total) != self._part:
            self._part = part
            self._write(f"reading {what}: {size(done)} of {size(total)}\n")
