"""Running a plan: every node once, independent ones at the same time, one at a time on the device."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

from pydantic import ValidationError

from engine.errors import Cancelled, NodeError, OutputError
from engine.node import Output
from engine.plan import Plan, Step
from engine.running import RunContext
from engine.services import Cancel, Services
from engine.supply import Supply
from engine.telling import OnEvent, Telling
from engine.unfit import in_words

MOST_WORKERS = 32
LOOK_AROUND = 0.1
"""Seconds after which a run that waits for the device looks whether it is to stop."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave: its outputs by name, and the seconds that each node it ran took."""

    outputs: dict[str, object]
    took: dict[str, float]


def execute(
    plan: Plan,
    services: Services,
    *,
    on_event: OnEvent,
    cancel: Cancel | None = None,
    previews: bool = False,
    began: float | None = None,
) -> Outcome:
    """Run a plan and return its outputs.

    `on_event` is called from whichever thread has something to report, one call at a time; what it raises stops the
    run and is raised from here as it is, and it is not called again. `previews` asks nodes for small pictures of their
    progress. `began` is the `time.perf_counter()` from which events count their seconds. Raises NodeError for the first
    node that fails, and Cancelled when `cancel` was set; what had finished stays cached.
    """
    return _Execution(plan, services, on_event, cancel or Cancel(), previews, began or time.perf_counter()).run()


class _Execution:
    """One run of one plan.

    The calling thread works through the ready nodes. Only when a node keeps it busy for a millisecond while others wait
    are further threads started, twice as many each time: trivial nodes cost no switching, and waiting ones overlap.
    """

    def __init__(
        self,
        plan: Plan,
        services: Services,
        on_event: OnEvent,
        cancel: Cancel,
        previews: bool,
        began: float,
    ) -> None:
        self._plan = plan
        self._services = services
        self._cancel = cancel
        self._previews = previews
        self._telling = Telling(on_event, self._stop, began)
        self._supply = Supply(plan)
        self._changed = threading.Condition()
        """Guards the supply and all that is below."""
        self._begun = 0
        self._workers: list[threading.Thread] = []
        self._begun_before = -1
        self._is_paced = False
        self._is_over = False
        self._error: BaseException | None = None
        self._took: dict[str, float] = {}
        self._makeshift: set[str] = set()
        """Nodes whose outputs are not quite what their keys stand for, and what follows from them."""

    def run(self) -> Outcome:
        """Work until every node is done, one has failed, or the caller asked to stop."""
        try:
            self._telling.planned(self._plan)
            while (step := self._next(wait=True)) is not None:
                self._perform(step)
        except BaseException as error:  # noqa: BLE001 - raised again at the end, after the other threads have stopped
            self._stop(error)
        finally:
            self._join()
        return self._conclude()

    def _conclude(self) -> Outcome:
        if self._error is not None:
            cancelled = isinstance(self._error, Cancelled | KeyboardInterrupt)
            with suppress(Exception):
                self._telling.done(self._plan, "cancelled" if cancelled else "failed", len(self._took))
            raise self._error
        outputs = self._supply.outputs()
        self._telling.done(self._plan, "ok", len(self._took))
        return Outcome(outputs, self._took)

    def _next(self, *, wait: bool) -> Step | None:
        """Take a ready node; without one, wait for it, or return None when there will be none (or not for us)."""
        with self._changed:
            while True:
                if self._cancel.is_set and self._error is None and self._supply.left:
                    self._error = Cancelled()
                if self._error is not None or not self._supply.left:
                    return None
                step = self._supply.take()
                if step is not None:
                    self._begun += 1
                    if self._supply.can_take:
                        self._pace()
                    return step
                if not wait:
                    return None
                self._changed.wait()

    def _pace(self) -> None:
        if not self._is_paced:
            self._is_paced = True
            self._services.pacer.watch(self, self._look)

    def _look(self) -> bool:
        """Start workers if ready nodes have waited since the last look; tell whether nodes wait."""
        with self._changed:
            if self._is_over or self._error is not None:
                return False
            waiting = self._supply.can_take
            if waiting and self._begun == self._begun_before:
                self._start_workers(waiting)
            self._begun_before = self._begun
            return waiting > 0

    def _is_stopping(self) -> bool:
        return self._error is not None or self._cancel.is_set

    def _start_workers(self, waiting: int) -> None:
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        room = MOST_WORKERS - 1 - len(self._workers)
        for _ in range(min(waiting, room, 1 + len(self._workers))):
            worker = threading.Thread(target=self._work, name="nova-graph worker", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self) -> None:
        while (step := self._next(wait=False)) is not None:
            self._perform(step)

    def _join(self) -> None:
        if self._is_paced:
            self._services.pacer.forget(self)
        with self._changed:
            self._is_over = True
            workers = self._workers
        for worker in workers:
            worker.join()

    def _stop(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
            self._changed.notify_all()

    def _perform(self, step: Step) -> None:
        try:
            self._telling.started(step)
            began = time.perf_counter()
            output = self._compute(step)
            took = time.perf_counter() - began
            if step.key is not None and step.id not in self._makeshift:
                self._services.cache.put(step.key, output, stored=step.node.declaration.stored, about=step.type)
            self._telling.finished(step, took)
        except BaseException as error:  # noqa: BLE001 - whatever a node raises stops the run in an orderly way
            self._fail(step, error)
        else:
            self._complete(step, output, took)

    def _compute(self, step: Step) -> Output:
        declaration = step.node.declaration
        argument = self._supply.argument
        node = declaration.cls(**{port: argument(binding) for port, binding in step.node.bindings.items()})
        tell = self._telling
        context = RunContext(
            step, self._plan, self._services, self._is_stopping, tell.warned, tell.progressed, previews=self._previews
        )
        try:
            with self._lane() if declaration.device else nullcontext():
                output = node.run(context)
        except ValidationError as error:
            if error.title != declaration.output_class.__name__:
                raise
            raise OutputError(f"{declaration.name}.run gave what it does not declare: {in_words(error)}") from error
        if context.is_makeshift or not self._makeshift.isdisjoint(step.needs):
            self._makeshift.update(self._supply.alike(step.id))
        for port, _ in declaration.asset_inputs:
            self._check_asset(step.id, port)
        if not isinstance(output, declaration.output_class):
            raise OutputError(
                f"{declaration.name}.run returned {type(output).__name__}, not {declaration.output_class.__name__}"
            )
        return output

    @contextmanager
    def _lane(self) -> Iterator[None]:
        """Hold the device; whoever waits for another run still hears that this one is to stop."""
        while not self._services.lane.acquire(timeout=LOOK_AROUND):
            if self._is_stopping():
                raise Cancelled
        try:
            yield
        finally:
            self._services.lane.release()

    def _check_asset(self, node: str, port: str) -> None:
        """Refuse what was made from a file that changed meanwhile: it would be cached as the old content's."""
        found = self._plan.found.get((node, port))
        if found is not None:
            found.check()

    def _complete(self, step: Step, output: Output, took: float) -> None:
        with self._changed:
            self._took[step.id] = took
            self._supply.complete(step, output)
            self._changed.notify_all()

    def _fail(self, step: Step, error: BaseException) -> None:
        asked = isinstance(error, Cancelled) and self._is_stopping()
        if asked or error is self._error or isinstance(error, KeyboardInterrupt):
            self._stop(error)
            return
        failure = NodeError(step.id, step.type, error, step.node.span)
        failure.__cause__ = error
        self._stop(failure)
        with suppress(Exception):  # the run is over: why the node failed counts, not that nobody hears of it
            self._telling.failed(step, failure.message)
