"""Telling a listener the events of one run."""

import threading
import time
from collections.abc import Callable
from typing import Literal as OneOf

from engine.errors import Cancelled
from engine.events import AnyEvent, Cached, Done, Failed, Finished, Planned, Progress, Started, Warned
from engine.plan import Plan, Step

OnEvent = Callable[[AnyEvent], None]


class Telling:
    """Calls the listener from whichever thread has something to report, one call at a time.

    What the listener raises goes to `stop` and to the caller, and the listener is not called again, unless it raised
    Cancelled. `began` is the `time.perf_counter()` from which events count their seconds.
    """

    __slots__ = ("_began", "_is_unheard", "_lock", "_on_event", "_stop")

    def __init__(self, on_event: OnEvent, stop: Callable[[BaseException], None], began: float) -> None:
        self._on_event = on_event
        self._stop = stop
        self._began = began
        self._lock = threading.Lock()
        self._is_unheard = False

    def planned(self, plan: Plan) -> None:
        """Tell what will run, and what is there already."""
        to_run = tuple(step.id for step in plan.to_run)
        self._emit(Planned(seconds=self._now(), nodes=tuple(step.id for step in plan.steps), to_run=to_run))
        for step in plan.steps:
            if step.status != "run":
                self._emit(Cached(seconds=self._now(), node=step.id, type=step.type, where=step.status))
            elif step.unkeyable:
                self.warned(step, f"cannot be cached: {step.unkeyable}")

    def started(self, step: Step) -> None:
        """Tell that a node begins."""
        self._emit(Started(seconds=self._now(), node=step.id, type=step.type))

    def warned(self, step: Step, text: str) -> None:
        """Tell what a node says."""
        self._emit(Warned(seconds=self._now(), node=step.id, type=step.type, text=text))

    def progressed(self, step: Step, done: int, total: int, preview: bytes | None) -> None:
        """Tell how far a node has come."""
        self._emit(Progress(seconds=self._now(), node=step.id, type=step.type, step=done, total=total, preview=preview))

    def finished(self, step: Step, took: float) -> None:
        """Tell that a node is done, and the seconds it took."""
        self._emit(Finished(seconds=self._now(), node=step.id, type=step.type, took=took))

    def failed(self, step: Step, text: str) -> None:
        """Tell why a node failed."""
        self._emit(Failed(seconds=self._now(), node=step.id, type=step.type, error=text))

    def done(self, plan: Plan, outcome: OneOf["ok", "failed", "cancelled"], ran: int) -> None:
        """Tell that the run is over."""
        cached = sum(step.status != "run" for step in plan.steps)
        self._emit(Done(seconds=self._now(), outcome=outcome, ran=ran, cached=cached))

    def _now(self) -> float:
        return time.perf_counter() - self._began

    def _emit(self, event: AnyEvent) -> None:
        with self._lock:
            if self._is_unheard:
                return
            try:
                self._on_event(event)
            except Exception as error:
                self._is_unheard = not isinstance(error, Cancelled)
                self._stop(error)
                raise
