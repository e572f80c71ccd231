"""What the GPU container does with a graph: run it, tell of it, leave when the device is broken."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from queue import SimpleQueue

from engine.errors import AssetError, NodeError
from engine.events import AnyEvent, Done, Warned
from engine.services import Cancel
from engine.values import Json
from nova_graph.api import Plan, run
from nova_graph.modal.documents import (
    Document,
    checked_inputs,
    default_document,
    for_owner,
    plan_document,
    refuse_pending,
    with_checkpoint,
)
from nova_graph.modal.limit import Limit
from nova_graph.modal.timing import TimingLog, read_entries, summarize
from nova_graph.modal.volume import Shared
from nova_graph.modal.wire import (
    FAULTS,
    Message,
    Report,
    from_error,
    from_event,
    from_outputs,
    from_report,
    to_error,
)
from nova_graph.runtime import Runtime
from nova_graph.service.failures import is_device_lost

Put = Callable[[Message | None], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Order:
    """One call: what to run, on what, and whether pictures of work in progress are wanted."""

    document: Document
    runtime: Runtime
    previews: bool


class Studio:
    """Runs graphs one after another on one runtime, which keeps models and results between them.

    `leave` asks for no further calls: it is called when the device has failed, since nothing works after that.
    `fallback` is a checkpoint to draw with where the one asked for cannot be had.
    """

    def __init__(
        self,
        runtime: Runtime,
        volume: Shared,
        timing: TimingLog,
        leave: Callable[[], None],
        *,
        cold: float = 0.0,
        fallback: str = "",
    ) -> None:
        self._runtime = runtime
        self._volume = volume
        self._timing = timing
        self._leave = leave
        self._cold = cold
        self._fallback = fallback
        self._calls = 0

    def draw(
        self, document: Document, *, previews: bool = False, owner: str = "", seconds: float | None = None
    ) -> Iterator[Message]:
        """Run a graph, yielding messages; the last is `report`, before it `pictures` or `error`.

        `owner` is whose uploaded pictures the graph may name, `seconds` how long it may run.

        It never raises for what goes wrong in a run. When the caller stops listening, or an exception is thrown in,
        the run stops between steps and what it finished is kept.
        """
        order = _Order(document, for_owner(self._runtime, owner), previews)
        messages: SimpleQueue[Message | None] = SimpleQueue()
        cancel = Cancel()
        call = (order, cancel, Limit(cancel, seconds), messages.put)
        worker = threading.Thread(target=self._work, args=call, name="nova-graph run")
        worker.start()
        try:
            while (message := messages.get()) is not None:
                yield message
        finally:
            cancel.set()
            worker.join()
            self._commit()

    def predict(self, inputs: Document, *, count: int | None = None) -> list[bytes]:
        """Draw the default graph with some inputs, `count` before theirs; returns encoded pictures. Raises NovaError.

        The inputs are checked before anything else is done.
        """
        given = checked_inputs(inputs)
        messages = list(self.draw(default_document(given if count is None else {**given, "count": count})))
        for message in messages:
            if message["event"] == "error":
                raise to_error(message)
        return [file["data"] for message in messages if message["event"] == "pictures" for file in message["files"]]

    def timing_report(self) -> dict[str, Json]:
        """Return how long the calls took that this container knows of."""
        return summarize(read_entries(self._timing.folder))

    def _work(self, order: _Order, cancel: Cancel, limit: Limit, put: Put) -> None:
        began = time.perf_counter()
        self._calls += 1
        tally = _Tally(put)
        try:
            with limit:
                message = self._run(order, cancel, tally.hear)
            put(message)
        except Exception as error:  # noqa: BLE001 - it crosses the wire as text: not every class can
            message = from_error(limit.judged(error))
            if message["kind"] in FAULTS:
                _log.error("a call failed", exc_info=error)
            put(message)
            if is_device_lost(error):
                self._leave()
        finally:
            try:
                report = self._report(time.perf_counter() - began, tally)
                put(from_report(report))
                self._note(report, tally.outcome)
            finally:
                put(None)

    def _run(self, order: _Order, cancel: Cancel, hear: Callable[[AnyEvent], None]) -> Message:
        try:
            return self._attempt(order, cancel, hear)
        except (AssetError, NodeError) as error:
            can_mend = self._fallback and _is_about_files(error)
            other = with_checkpoint(order.document, self._fallback) if can_mend else None
            if other is None:
                raise
            text = f"drawing with {self._fallback} instead, because: {error}"
            hear(Warned(seconds=0.0, node="loader", type="CheckpointLoader", text=text))
            return self._attempt(replace(order, document=other), cancel, hear)

    def _attempt(self, order: _Order, cancel: Cancel, hear: Callable[[AnyEvent], None]) -> Message:
        return from_outputs(run(self._plan(order), on_event=hear, cancel=cancel, previews=order.previews).outputs)

    def _plan(self, order: _Order) -> Plan:
        """Plan, after a look for new files where some are missing: downloads are not for a machine with a GPU."""
        try:
            plan = plan_document(order.document, order.runtime)
            if not plan.engine_plan.pending:
                return plan
        except AssetError:
            pass
        if not self._volume.refresh():
            self._runtime.pool.clear()
            self._volume.refresh()
        plan = plan_document(order.document, order.runtime)
        refuse_pending(plan.engine_plan)
        return plan

    def _report(self, seconds: float, tally: "_Tally") -> Report:
        environment = self._runtime.environment
        return Report(
            seconds=round(seconds, 4),
            cold=round(self._cold, 3) if self._calls == 1 else 0.0,
            device=dict(environment.detail).get("gpu", ""),
            container=self._timing.container,
            number=self._calls,
            ran=tally.ran,
            cached=tally.cached,
            environment=environment.fingerprint,
        )

    def _note(self, report: Report, outcome: str) -> None:
        """Write down how long the call took; nobody's pictures are lost because that fails."""
        try:
            self._timing.add({"time": round(time.time(), 3), "outcome": outcome, **asdict(report)})
        except OSError as error:
            _log.warning("the time of this call is not noted: %s", error)

    def _commit(self) -> None:
        """Make what this call finished seen by others, also where it failed; if that fails they compute it again."""
        self._runtime.services.cache.flush()
        try:
            self._volume.commit()
        except Exception as error:  # noqa: BLE001 - Modal raises errors of many classes, and the pictures exist
            _log.warning("the results of this call are not on the Volume: %s: %s", type(error).__name__, error)


class _Tally:
    """Passes events on and keeps what the last one says."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self.outcome = "failed"
        self.ran = 0
        self.cached = 0

    def hear(self, event: AnyEvent) -> None:
        if isinstance(event, Done):
            self.outcome, self.ran, self.cached = event.outcome, event.ran, event.cached
        self._put(from_event(event))


def _is_about_files(error: AssetError | NodeError) -> bool:
    return isinstance(error, AssetError) or isinstance(error.cause, AssetError)
