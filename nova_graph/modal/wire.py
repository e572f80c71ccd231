"""What containers and clients say to each other: plain dicts of JSON values and bytes, no classes of ours.

{"event": "planned" ... "done", ...}    an event of the engine
{"event": "pictures", "files": [...]}   the encoded pictures
{"event": "report", ...}                seconds, GPU, cold start, as in `Report`
{"event": "error", "kind": ..., "error": ...}
{"event": "hello", "protocol": 1}       of a preparation, its first: which number of `PROTOCOL` the app has
{"event": "ready", "run": 0}            of a preparation: a GPU is needed; `run` is in all of its messages that follow
"""

import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args, get_type_hints

from engine.errors import (
    AssetError,
    Cancelled,
    GraphErrors,
    NodeError,
    NovaError,
    RegistryError,
    SettingError,
)
from engine.events import AnyEvent
from nodes.values import File, Files
from nova_graph.service.perform import plain_outputs

Message = dict[str, Any]

PROTOCOL = 1
"""Goes up with every change after which deployed apps and clients of other numbers misunderstand each other."""

_EVENTS: dict[str, type[AnyEvent]] = {each.__name__.lower(): each for each in get_args(AnyEvent)}
_KINDS: tuple[tuple[str, type[NovaError]], ...] = (
    ("asset", AssetError),
    ("cancelled", Cancelled),
    ("graph", GraphErrors),
    ("registry", RegistryError),
    ("setting", SettingError),
    ("node", NodeError),
)

FAULTS = frozenset({"fault", "node"})
"""Kinds of errors of which the container's log has the traceback: the text alone may not tell what to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a call went, in seconds; `cold` is what its container took to start, 0 for all but its first call."""

    seconds: float
    cold: float
    device: str
    """The GPU's name, empty on a processor."""
    container: str
    number: int
    """The how-manieth call of its container."""
    ran: int
    cached: int
    environment: str
    """The fingerprint under which equal bits are promised."""


class CloudError(NovaError):
    """Something went wrong in a container; its text came over the wire. `kind` says what, as in this module."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


def from_event(event: AnyEvent) -> Message:
    """Return an event as a message."""
    return {"event": type(event).__name__.lower(), **asdict(event)}


def to_event(message: Mapping[str, Any]) -> AnyEvent | None:
    """Return the event that a message carries, None for messages of another sort or of another version."""
    event_class = _EVENTS.get(str(message.get("event")))
    if event_class is None:
        return None
    hints = get_type_hints(event_class)
    names = [member.name for member in fields(event_class)]
    if any(name not in message for name in names):
        return None
    values: dict[str, Any] = {name: _frozen(message[name], hints[name]) for name in names}
    return event_class(**values)


def from_outputs(outputs: Mapping[str, object]) -> Message:
    """Return the outputs of a run as a message: encoded pictures, and plain values."""
    groups = {name: value.files for name, value in outputs.items() if isinstance(value, Files)}
    files = [{**asdict(file), "output": name} for name, group in groups.items() for file in group]
    return {"event": "pictures", "files": files, "outputs": plain_outputs(outputs)}


def to_files(message: Mapping[str, Any]) -> tuple[File, ...]:
    """Return the pictures that a message carries."""
    return tuple(_file(each) for each in message["files"])


def to_groups(message: Mapping[str, Any]) -> dict[str, tuple[File, ...]]:
    """Return the pictures that a message carries by the outputs that gave them."""
    groups: dict[str, tuple[File, ...]] = {}
    for each in message["files"]:
        groups[each["output"]] = (*groups.get(each["output"], ()), _file(each))
    return groups


def from_report(report: Report) -> Message:
    """Return a report as a message."""
    return {"event": "report", **asdict(report)}


def to_report(message: Mapping[str, Any]) -> Report:
    """Return the report that a message carries."""
    return Report(**{member.name: message[member.name] for member in fields(Report)})


def from_error(error: BaseException) -> Message:
    """Return an error as a message; what is not the user's to mend is a `fault`."""
    cause = error.cause if isinstance(error, NodeError) and isinstance(error.cause, AssetError | Cancelled) else error
    kind = next((name for name, cls in _KINDS if isinstance(cause, cls)), "")
    if not kind:
        kind = "other" if isinstance(error, NovaError) else "fault"
    text = str(error) if isinstance(error, NovaError) else f"{type(error).__name__}: {error}"
    return {"event": "error", "kind": kind, "error": text}


def to_error(message: Mapping[str, Any]) -> NovaError:
    """Return the error that a message carries, of a class that has its exit code."""
    kind, text = str(message["kind"]), str(message["error"])
    if kind == "asset":
        return AssetError(text)
    if kind == "cancelled":
        return Cancelled(text)
    if kind in ("registry", "setting"):
        return SettingError(text)
    return CloudError(text, kind)


def _file(entry: Mapping[str, Any]) -> File:
    return File(**{member.name: entry[member.name] for member in fields(File)})


def _frozen(value: object, hint: object) -> object:
    is_tuple = getattr(hint, "__origin__", None) is tuple and not isinstance(hint, types.UnionType)
    return tuple(value) if is_tuple and isinstance(value, list | tuple) else value
