"""Running a plan: every node once, independent ones at the same time, one at a time on the device."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Literal as OneOf

from pydantic import ValidationError

from engine.bound import Binding, Literal, Reference
from engine.errors import Cancelled, NodeError, OutputError
from engine.events import AnyEvent, Cached, Done, Failed, Finished, Planned, Progress, Started, Warned
from engine.node import Output
from engine.plan import Plan, Step, output_of
from engine.running import RunContext
from engine.services import Cancel, Services
from engine.unfit import in_words

MOST_WORKERS = 32
LOOK_AROUND = 0.1
"""Seconds after which a run that waits for the device looks whether it is to stop."""

OnEvent = Callable[[AnyEvent], None]


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
        self._on_event = on_event
        self._cancel = cancel
        self._previews = previews
        self._began = began
        self._event_lock = threading.Lock()
        self._is_unheard = False
        """The listener has failed."""
        self._changed = threading.Condition()
        self._ready: deque[Step] = deque()
        self._ready_for_device: deque[Step] = deque()
        self._device_busy = False
        self._begun = 0
        self._workers: list[threading.Thread] = []
        self._begun_before = -1
        self._is_paced = False
        self._is_over = False
        self._error: BaseException | None = None
        self._took: dict[str, float] = {}
        self._makeshift: set[str] = set()
        """Nodes whose outputs are not quite what their keys stand for, and what follows from them."""
        self._wire()

    def _wire(self) -> None:
        """Count what every node waits for and how often every value will be used."""
        self._values: dict[str, Output] = {}
        self._uses: dict[str, int] = {}
        self._waits: dict[str, int] = {}
        self._followers: dict[str, list[Step]] = {}
        self._twins: dict[str, list[str]] = {}
        to_run = self._plan.to_run
        self._left = len(to_run)
        for step in self._plan.steps:
            if step.twin is not None:
                self._twins.setdefault(step.twin, []).append(step.id)
        for reference in self._plan.bound.outputs.values():
            self._uses[reference.node] = self._uses.get(reference.node, 0) + 1
        for step in to_run:
            for upstream in step.needs:
                self._uses[upstream] = self._uses.get(upstream, 0) + 1
                self._followers.setdefault(upstream, []).append(step)
            self._waits[step.id] = len(step.needs)
        for step in to_run:
            if not step.needs:
                self._queue(step)
        for node, output in self._plan.held.items():
            self._provide_with_twins(node, output)

    def run(self) -> Outcome:
        """Work until every node is done, one has failed, or the caller asked to stop."""
        try:
            self._announce()
            while (step := self._next(wait=True)) is not None:
                self._perform(step)
        except BaseException as error:  # noqa: BLE001 - raised again at the end, after the other threads have stopped
            self._stop(error)
        finally:
            self._join()
        return self._conclude()

    def _announce(self) -> None:
        steps = self._plan.steps
        to_run = tuple(step.id for step in self._plan.to_run)
        self._emit(Planned(seconds=self._now(), nodes=tuple(step.id for step in steps), to_run=to_run))
        for step in steps:
            if step.status != "run":
                self._emit(Cached(seconds=self._now(), node=step.id, type=step.type, where=step.status))
            elif step.unkeyable:
                self._say(step, f"cannot be cached: {step.unkeyable}")

    def _conclude(self) -> Outcome:
        if self._error is not None:
            cancelled = isinstance(self._error, Cancelled | KeyboardInterrupt)
            with suppress(Exception):
                self._finish_with("cancelled" if cancelled else "failed")
            raise self._error
        values = self._values
        outputs = {name: output_of(reference, values) for name, reference in self._plan.bound.outputs.items()}
        self._finish_with("ok")
        return Outcome(outputs, self._took)

    def _finish_with(self, outcome: OneOf["ok", "failed", "cancelled"]) -> None:
        cached = sum(step.status != "run" for step in self._plan.steps)
        self._emit(Done(seconds=self._now(), outcome=outcome, ran=len(self._took), cached=cached))

    # Threads

    def _next(self, *, wait: bool) -> Step | None:
        """Take a ready node; without one, wait for it, or return None when there will be none (or not for us)."""
        with self._changed:
            while True:
                if self._cancel.is_set and self._error is None and self._left:
                    self._error = Cancelled()
                if self._error is not None or not self._left:
                    return None
                step = self._take()
                if step is not None:
                    self._begun += 1
                    if self._can_take():
                        self._pace()
                    return step
                if not wait:
                    return None
                self._changed.wait()

    def _take(self) -> Step | None:
        if self._ready_for_device and not self._device_busy:
            self._device_busy = True
            return self._ready_for_device.popleft()
        return self._ready.popleft() if self._ready else None

    def _can_take(self) -> int:
        return len(self._ready) + int(bool(self._ready_for_device) and not self._device_busy)

    def _pace(self) -> None:
        if not self._is_paced:
            self._is_paced = True
            self._services.pacer.watch(self, self._look)

    def _look(self) -> bool:
        """Start workers if ready nodes have waited since the last look; tell whether nodes wait."""
        with self._changed:
            if self._is_over or self._error is not None:
                return False
            waiting = self._can_take()
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

    # Nodes

    def _perform(self, step: Step) -> None:
        try:
            self._emit(Started(seconds=self._now(), node=step.id, type=step.type))
            began = time.perf_counter()
            output = self._compute(step)
            took = time.perf_counter() - began
            if step.key is not None and step.id not in self._makeshift:
                self._services.cache.put(step.key, output, stored=step.node.declaration.stored, about=step.type)
            self._emit(Finished(seconds=self._now(), node=step.id, type=step.type, took=took))
        except BaseException as error:  # noqa: BLE001 - whatever a node raises stops the run in an orderly way
            self._fail(step, error)
        else:
            self._complete(step, output, took)

    def _compute(self, step: Step) -> Output:
        declaration = step.node.declaration
        node = declaration.cls(**{port: self._argument(binding) for port, binding in step.node.bindings.items()})
        context = RunContext(
            step, self._plan, self._services, self._is_stopping, self._say, self._show, previews=self._previews
        )
        try:
            with self._lane() if declaration.device else nullcontext():
                output = node.run(context)
        except ValidationError as error:
            if error.title != declaration.output_class.__name__:
                raise
            raise OutputError(f"{declaration.name}.run gave what it does not declare: {in_words(error)}") from error
        if context.is_makeshift or not self._makeshift.isdisjoint(step.needs):
            self._makeshift.update((step.id, *self._twins.get(step.id, ())))
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

    def _argument(self, binding: Binding) -> object:
        if isinstance(binding, Literal):
            return binding.value
        if isinstance(binding, Reference):
            return output_of(binding, self._values)
        return tuple(self._argument(item) for item in binding.items)

    def _complete(self, step: Step, output: Output, took: float) -> None:
        with self._changed:
            self._took[step.id] = took
            self._left -= 1
            if step.node.declaration.device:
                self._device_busy = False
            for upstream in step.needs:
                self._release(upstream)
            self._provide_with_twins(step.id, output)
            self._changed.notify_all()

    def _provide_with_twins(self, node: str, output: Output) -> None:
        for name in (node, *self._twins.get(node, ())):
            self._provide(name, output)

    def _provide(self, node: str, output: Output) -> None:
        if self._uses.get(node):
            self._values[node] = output
        for follower in self._followers.get(node, ()):
            self._waits[follower.id] -= 1
            if not self._waits[follower.id]:
                self._queue(follower)

    def _queue(self, step: Step) -> None:
        (self._ready_for_device if step.node.declaration.device else self._ready).append(step)

    def _release(self, node: str) -> None:
        self._uses[node] -= 1
        if not self._uses[node]:
            del self._values[node]

    def _fail(self, step: Step, error: BaseException) -> None:
        asked = isinstance(error, Cancelled) and self._is_stopping()
        if asked or error is self._error or not isinstance(error, Exception):
            self._stop(error)
            return
        failure = NodeError(step.id, step.type, error, step.node.span)
        failure.__cause__ = error
        self._stop(failure)
        self._emit(Failed(seconds=self._now(), node=step.id, type=step.type, error=failure.message))

    # Events

    def _now(self) -> float:
        return time.perf_counter() - self._began

    def _emit(self, event: AnyEvent) -> None:
        with self._event_lock:
            if self._is_unheard:
                return
            try:
                self._on_event(event)
            except Exception as error:
                self._is_unheard = not isinstance(error, Cancelled)
                self._stop(error)
                raise

    def _say(self, step: Step, text: str) -> None:
        self._emit(Warned(seconds=self._now(), node=step.id, type=step.type, text=text))

    def _show(self, step: Step, done: int, total: int, preview: bytes | None) -> None:
        self._emit(Progress(seconds=self._now(), node=step.id, type=step.type, step=done, total=total, preview=preview))
