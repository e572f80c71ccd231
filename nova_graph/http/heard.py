"""Events from JSON back to what they were, so that a client shows a job as it would show a run of its own."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import fields

from engine.events import AnyEvent, Cached, Done, Failed, Fetching, Finished, Planned, Progress, Started, Warned
from engine.values import Json

_KINDS: dict[str, type[AnyEvent]] = {
    kind.__name__.lower(): kind
    for kind in (Planned, Fetching, Started, Progress, Warned, Cached, Finished, Failed, Done)
}


def event_of(tree: Mapping[str, Json]) -> AnyEvent | None:
    """Return the event that a JSON tree tells of; None for one that only a service has."""
    kind = _KINDS.get(str(tree.get("event")))
    if kind is None:
        return None
    values = {member.name: _value(tree[member.name]) for member in fields(kind) if member.name in tree}
    preview = tree.get("preview")
    if kind is Progress:
        values["preview"] = _decoded(preview) if isinstance(preview, str) else None
    try:
        return kind(**values)  # type: ignore[arg-type]
    except TypeError:
        return None


def _value(value: Json) -> object:
    return tuple(map(_value, value)) if isinstance(value, list) else value


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
