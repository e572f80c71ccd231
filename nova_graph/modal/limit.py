"""How long a run may take: when its time is over it is stopped between steps, and the container stays."""

import threading
from types import TracebackType
from typing import Self

from engine.errors import Cancelled, NodeError, NovaError
from engine.services import Cancel
from nova_graph.service.backend import lateness


class TimeOver(NovaError):
    """A run took longer than it may."""


class Limit:
    """Stops a run after so many seconds; use it as a context manager around the run. None is no limit."""

    def __init__(self, cancel: Cancel, seconds: float | None) -> None:
        self._cancel = cancel
        self._seconds = seconds
        self._is_over = False
        self._timer = None if seconds is None else threading.Timer(seconds, self._end)

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def judged(self, error: Exception) -> Exception:
        """Return why a run ended: that its time was over, where it was stopped for that, and the error otherwise."""
        was_stopped = isinstance(error.cause if isinstance(error, NodeError) else error, Cancelled)
        if self._seconds is None or not self._is_over or not was_stopped:
            return error
        return TimeOver(lateness(self._seconds))

    def _end(self) -> None:
        self._is_over = True
        self._cancel.set()
