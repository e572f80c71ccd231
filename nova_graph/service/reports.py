"""What a worker says of a job, read; and what the ledger is told of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.values import Json
from nodes.values import File
from nova_graph.service.event_text import Lines, picture_trees, tell
from nova_graph.service.frames import BadFrame, Frame
from nova_graph.service.transitions import Outcome

_STATES: Mapping[str, Literal["done", "failed", "cancelled"]] = {
    "ok": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}
_OUTCOMES = {state: outcome for outcome, state in _STATES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a job ended; `memory`: because there was too little, `told`: the events say why it failed."""

    state: Literal["done", "failed", "cancelled"]
    error: str = ""
    memory: bool = False
    cached: int = 0
    ran: int = 0
    seconds: float = 0.0
    files: tuple[File, ...] = ()
    outputs: Mapping[str, Json] = field(default_factory=dict)
    told: bool = True


def read_report(frame: Frame) -> Report:
    """Read the message `ended`; raises BadFrame."""
    outputs = frame.header.get("outputs")
    try:
        return Report(
            state=_STATES[frame.text("outcome")],
            error=frame.text("error"),
            memory=bool(frame.count("memory")),
            cached=frame.count("cached"),
            ran=frame.count("ran"),
            seconds=frame.number("seconds"),
            files=_files(frame),
            outputs=outputs if isinstance(outputs, dict) else {},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadFrame(f"an end that is none: {error}") from error


def read_lines(frame: Frame) -> Lines:
    """Read the events that a message brings."""
    if not frame.count("count"):
        return Lines()
    previews = frame.header.get("previews")
    shown = {int(index): str(preview) for index, preview in previews.items()} if isinstance(previews, dict) else {}
    return Lines(tuple(frame.parts[0].decode().split("\n")), shown)


def done_lines(lines: Lines, report: Report) -> Lines:
    """Add a job's last event, and before it why the job failed where no event says so."""
    texts = list(lines.texts)
    if report.state == "failed" and not report.told:
        texts.append(tell("error", error=report.error))
    texts.append(
        tell(
            "done",
            seconds=round(report.seconds, 4),
            outcome=_OUTCOMES[report.state],
            ran=report.ran,
            cached=report.cached,
            pictures=picture_trees(report.files),
            outputs=dict(report.outputs),
        )
    )
    return Lines(tuple(texts), lines.previews)


def outcome_of(report: Report, ended: float) -> Outcome:
    """Return what the ledger keeps of a report, but for its pictures."""
    return Outcome(state=report.state, ended=ended, error=report.error, cached=report.cached, ran=report.ran)


def _files(frame: Frame) -> tuple[File, ...]:
    described = frame.header.get("files")
    if not isinstance(described, list):
        return ()
    files: list[File] = []
    for about, data in zip(described, frame.parts[1:], strict=True):
        words = json.loads(json.dumps(about))
        files.append(
            File(data, words["media_type"], words["width"], words["height"], words["seed"], words["pixel_sha256"])
        )
    return tuple(files)
