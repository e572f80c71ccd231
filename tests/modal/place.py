"""A studio in this process: no model, no Modal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodes.assets import read_settings
from nova_graph.modal.documents import without_history
from nova_graph.modal.studio import Studio
from nova_graph.modal.timing import TimingLog
from nova_graph.modal.volume import Shared
from nova_graph.modal.wire import Message
from nova_graph.options import Options
from nova_graph.runtime import Runtime, local_runtime

PLUGINS = Path(__file__).parents[1] / "nova_graph" / "plugins"


def graph(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"nova": 1, "nodes": {"n": {"type": kind, "inputs": inputs}}, "outputs": {"n": "$n.value"}}


def named(checkpoint: str) -> dict[str, Any]:
    declared = {"checkpoint": {"type": "string", "default": checkpoint}}
    return {**graph("Named", weights="$inputs.checkpoint"), "inputs": declared}


class Place:
    """A studio over a folder, and what it asked for."""

    def __init__(self, folder: Path, **words: Any) -> None:
        environ = {"NOVA_CACHE_DIR": str(folder), "NOVA_REQUIRE_CHECKPOINT": "1", "NOVA_DEVICE": "cpu"}
        self.settings = read_settings({**environ, **words.pop("environ", {})}, folders=())
        self.runtime: Runtime = without_history(
            local_runtime(settings=self.settings, options=Options(nodes=(PLUGINS,)), warn=print)
        )
        self.commits = 0
        self.left = 0
        self.on_reload: Callable[[], None] = lambda: None
        self.on_commit: Callable[[], None] = lambda: None
        shared = Shared(commit=self._commit, reload=self._reload)
        self.timing = TimingLog(folder / "timing", "ta-1")
        self.studio = Studio(self.runtime, shared, self.timing, self._leave, cold=7.0, **words)

    def draw(self, document: dict[str, Any], **words: Any) -> list[Message]:
        return list(self.studio.draw(document, **words))

    def _commit(self) -> None:
        self.commits += 1
        self.on_commit()

    def _reload(self) -> None:
        self.on_reload()

    def _leave(self) -> None:
        self.left += 1
