"""Events as the service keeps them: one JSON object a line."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.events import AnyEvent
from engine.values import Json
from nodes.values import File
from nova_graph.cli.ndjson import event_tree


@dataclass(frozen=True, slots=True)
class Lines:
    """Some events of a job, in order; `previews` has what is shown to who follows now, by index, and is not kept."""

    texts: tuple[str, ...] = ()
    previews: Mapping[int, str] | None = None

    @property
    def size(self) -> int:
        """About how many bytes are kept."""
        return sum(map(len, self.texts))

    def shown(self) -> tuple[str, ...]:
        """Return the events with their previews."""
        if not self.previews:
            return self.texts
        return tuple(_with_preview(text, self.previews.get(index)) for index, text in enumerate(self.texts))


def tell(event: str, **words: Json) -> str:
    """Return an event of the service itself."""
    return text_of({"event": event, **words})


def tell_engine(event: AnyEvent) -> str:
    """Return an event of a run, without its preview."""
    return text_of(event_tree(event))


def encode_preview(preview: bytes) -> str:
    """Return a picture as events carry it."""
    return base64.b64encode(preview).decode()


def picture_trees(files: Sequence[File]) -> list[Json]:
    """Return what the last event says of the pictures."""
    return [
        {
            "index": index,
            "media_type": file.media_type,
            "width": file.width,
            "height": file.height,
            "seed": file.seed,
            "pixel_sha256": file.pixel_sha256,
        }
        for index, file in enumerate(files)
    ]


def text_of(tree: Mapping[str, Json]) -> str:
    """Return a JSON tree as one line of ASCII."""
    return json.dumps(tree, allow_nan=False, separators=(",", ":"))


def _with_preview(text: str, preview: str | None) -> str:
    return text if preview is None else f'{text[:-1]},"preview":"{preview}"}}'
