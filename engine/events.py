"""A run as a stream of frozen events; every bar, log and report is a rendering of it."""

from dataclasses import dataclass
from typing import Literal

Where = Literal["memory", "disk", "unneeded", "twin"]
"""Where a value that was not computed came from; `unneeded`: a cached value further down makes it superfluous;
`twin`: another node of the same run has the same key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events; `seconds` counts from the start of the run."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Event):
    """The run is about to start: which nodes will run, which will not."""

    nodes: tuple[str, ...]
    to_run: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching(Event):
    """An asset is being downloaded for a node, before the run is planned to the end."""

    node: str
    type: str
    done: int
    total: int | None
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """A node has begun to run."""

    node: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """A running node has done `step` of `total`."""

    node: str
    type: str
    step: int
    total: int
    preview: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """A node has something to say that does not stop the run."""

    node: str
    type: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached(Event):
    """A node did not have to run."""

    node: str
    type: str
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """A node has run; `took` is its own time in seconds."""

    node: str
    type: str
    took: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """A node raised; the run stops."""

    node: str
    type: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Event):
    """The last event: `ok`, `failed` or `cancelled`."""

    outcome: Literal["ok", "failed", "cancelled"]
    ran: int
    cached: int


AnyEvent = Planned | Fetching | Started | Progress | Warned | Cached | Finished | Failed | Done
