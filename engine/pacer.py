"""One thread that looks after all runs: it gives more threads to those whose ready nodes have waited for a while."""

import threading
from collections.abc import Callable

PATIENCE = 0.001
"""Seconds between two looks while nodes wait."""

IDLE = 0.02
"""Seconds between two looks while none do."""

REST = 1.0
"""Seconds without a run after which the thread ends; the next run starts another."""

Look = Callable[[], bool]
"""Called at every look; tells whether nodes wait."""


class Pacer:
    """Calls back every millisecond or so for each run that it watches; costs nothing while there is none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._looks: dict[object, Look] = {}
        self._thread: threading.Thread | None = None
        self._patience = PATIENCE

    def watch(self, run: object, look: Look) -> None:
        """Call `look` from now on until the run is forgotten."""
        with self._changed:
            self._looks[run] = look
            if self._thread is None:
                self._thread = threading.Thread(target=self._pace, name="nova-graph pacer", daemon=True)
                self._thread.start()
            elif self._patience > PATIENCE:
                self._patience = PATIENCE
                self._changed.notify()

    def forget(self, run: object) -> None:
        """Call back no more for this run; a call that has begun may still be going on."""
        with self._changed:
            self._looks.pop(run, None)

    def _pace(self) -> None:
        while True:
            looks = self._next()
            if looks is None:
                return
            waiting = [look() for look in looks]
            self._patience = PATIENCE if any(waiting) else min(self._patience * 1.5, IDLE)

    def _next(self) -> list[Look] | None:
        """Return whom to call after a while, or once there is a run; None when none came."""
        with self._changed:
            self._changed.wait(self._patience)
            if not self._looks:
                self._patience = REST
                if not self._changed.wait_for(lambda: bool(self._looks), REST):
                    self._thread = None
                    return None
            return list(self._looks.values())
