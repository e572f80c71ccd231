"""Events as NDJSON: one JSON object a line, for programs."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

from engine.events import AnyEvent, Done
from engine.values import Json
from nova_graph.cli.saving import Saved


@dataclass(frozen=True, slots=True)
class Lines:
    """Writes events as lines; `previews` adds pictures of work in progress, as base64 of JPEG bytes."""

    write: Callable[[str], None]
    previews: bool = False

    def show(self, event: AnyEvent) -> None:
        """Write one event; the last, `done`, waits for `close`, which knows where the pictures are."""
        if not isinstance(event, Done):
            self.write(line(event_tree(event, previews=self.previews)))

    def close(self, done: Done, saved: Sequence[Saved]) -> None:
        """Write the last event, with the pictures that were saved."""
        self.write(line({**event_tree(done), "pictures": [picture_tree(picture) for picture in saved]}))

    def fail(self, error: BaseException, code: int) -> None:
        """Write what went wrong outside of any node, as an event `error`."""
        self.write(line({"event": "error", "error": str(error), "exit": code}))


def event_tree(event: AnyEvent, *, previews: bool = False) -> dict[str, Json]:
    """Return an event as a JSON tree: `event`, `node`, `type`, `seconds`, and what belongs to it."""
    tree: dict[str, Json] = {"event": type(event).__name__.lower()}
    kind: type = type(event)
    for name in _names(kind):
        tree[name] = _plain(getattr(event, name))
    preview = getattr(event, "preview", None) if previews else None
    if isinstance(preview, bytes):
        tree["preview"] = base64.b64encode(preview).decode()
    return tree


def picture_tree(saved: Saved) -> dict[str, Json]:
    """Return a saved picture as a JSON tree."""
    return {
        "path": str(saved.path),
        "width": saved.file.width,
        "height": saved.file.height,
        "seed": saved.file.seed,
        "media_type": saved.file.media_type,
        "pixel_sha256": saved.file.pixel_sha256,
    }


def line(tree: dict[str, Json]) -> str:
    """Return a JSON tree as one line of ASCII."""
    return json.dumps(tree, allow_nan=False, separators=(", ", ": ")) + "\n"


@lru_cache(maxsize=64)
def _names(event_class: type) -> tuple[str, ...]:
    """Return the fields of an event in the order in which they are told, but for its picture."""
    names = [member.name for member in fields(event_class)]
    first = [name for name in ("node", "type", "seconds") if name in names]
    return (*first, *(name for name in names if name not in first and name != "preview"))


def _plain(value: object) -> Json:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 4)
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
