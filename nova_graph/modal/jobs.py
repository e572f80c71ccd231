"""A job of the HTTP service in a GPU container: its record and its events are kept where the web function sees them."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from modal.exception import InputCancellation

from engine.events import Done
from nova_graph.modal.records import Entry, Record, Stores, ended, from_entry, piece_key, to_entry, told_key
from nova_graph.modal.wire import Message, Report, from_error, to_event, to_files, to_report
from nova_graph.service.backend import OVER, Job, State
from nova_graph.service.event_text import picture_trees, tell, tell_engine, text_of

PIECE_SECONDS = 0.5
"""Events are written this often at most: each time is a request to Modal."""

_log = logging.getLogger(__name__)

_STATES: dict[str, State] = {"ok": "done", "failed": "failed", "cancelled": "cancelled"}


class JobWriter:
    """Writes what one job tells into Modal Dicts; `tell(owner, job id)` has its webhook called when it is over."""

    def __init__(self, stores: Stores, job_id: str, tell: Callable[[str, str], object]) -> None:
        self._records = stores.records
        self._store = stores.rest
        self._id = job_id
        self._tell = tell
        self._record: Record = from_entry(self._records.get(job_id))
        self._lines: list[str] = []
        self._pieces = 0
        self._written = time.monotonic()
        self._done: Done | None = None
        self._error = ""
        self._kind = ""
        self._files: list[Entry] = []
        self._report: Report | None = None

    def follow(self, messages: Iterable[Message]) -> list[Entry]:
        """Take the messages of a run to their end and return its pictures as plain data.

        A job that was cancelled before is not begun. When the call is cancelled or fails, that is written down before
        the exception goes on. A KeyboardInterrupt is no end: Modal takes the machine away and runs the call elsewhere.
        """
        if self._record.job.state in OVER:
            return []
        self._begin()
        try:
            for message in messages:
                self._take(message)
        except (InputCancellation, GeneratorExit):
            self._close("cancelled")
            raise
        except Exception as error:
            self._take(from_error(error))
            self._close("failed")
            raise
        outcome: State = "done" if not self._error else "cancelled" if self._kind == "cancelled" else "failed"
        self._close(outcome)
        return self._files

    def _begin(self) -> None:
        """Note that the job runs; the events of another attempt go on after those of the earlier ones."""
        job = self._record.job
        while job.attempts and self._store.contains(piece_key(self._id, self._pieces)):
            self._pieces += 1
        running = replace(job, state="running", started=time.time(), attempts=job.attempts + 1)
        self._save(replace(self._record, job=running))

    def _take(self, message: Message) -> None:
        match message["event"]:
            case "pictures":
                self._files = message["files"]
            case "report":
                self._report = to_report(message)
            case "error":
                self._error, self._kind = str(message["error"]), str(message["kind"])
                if self._kind != "cancelled":
                    self._lines.append(tell("error", error=self._error))
            case _:
                event = to_event(message)
                if isinstance(event, Done):
                    self._done = event
                elif event is not None:
                    self._lines.append(tell_engine(event))
        if time.monotonic() - self._written >= PIECE_SECONDS:
            self._write()

    def _close(self, state: State) -> None:
        done = self._done or Done(seconds=0.0, outcome="failed", ran=0, cached=0)
        pictures = picture_trees(to_files({"files": self._files}))
        outcome = next(word for word, meant in _STATES.items() if meant == state)
        self._lines.append(
            text_of(
                {
                    "event": "done",
                    "seconds": round(done.seconds, 4),
                    "outcome": outcome,
                    "ran": done.ran,
                    "cached": done.cached,
                    "pictures": pictures,
                }
            )
        )
        self._write()
        job = self._record.job
        cold = (job.started or job.accepted) - job.accepted if self._report and self._report.number == 1 else 0.0
        over = ended(
            self._record,
            state,
            error="" if state == "cancelled" else self._error,
            pictures=len(self._files),
            ran=done.ran,
            cached=done.cached,
            cold=max(0.0, cold),
        )
        self._save(replace(over, pieces=self._pieces))
        self._hand_on_webhook(over.job)

    def _hand_on_webhook(self, job: Job) -> None:
        if not job.webhook_url or not self._store.put(told_key(job.id), "handed on", skip_if_exists=True):
            return
        try:
            self._tell(job.owner, job.id)
        except Exception:  # noqa: BLE001 - the job is over, whatever its webhook does
            _log.warning("the webhook of job %s waits for the next web container", job.id, exc_info=True)
            self._store.pop(told_key(job.id), None)

    def _write(self) -> None:
        if self._lines:
            self._store.put(piece_key(self._id, self._pieces), self._lines)
            self._pieces += 1
            self._lines = []
        self._written = time.monotonic()

    def _save(self, record: Record) -> None:
        self._record = record
        self._records.put(self._id, to_entry(record))


def lines_of_failure(error: str, state: State) -> Iterator[str]:
    """Yield the last events of a job whose container could not tell them."""
    if state == "failed":
        yield tell("error", error=error)
    outcome = next(word for word, meant in _STATES.items() if meant == state)
    yield text_of({"event": "done", "seconds": 0.0, "outcome": outcome, "ran": 0, "cached": 0, "pictures": []})
