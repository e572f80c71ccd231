"""Who listens to a run may fail: that is their error, and no node's or download's."""

from pathlib import Path

import pytest

from engine.events import AnyEvent, Fetching
from nodes.assets import read_settings
from nova_graph import load, local_runtime, run
from tests.nodes.assets.server import serving, whole
from tests.nodes.assets.shop import weights

GRAPH = """\
nova: 1
nodes: {loader: {type: CheckpointLoader, inputs: {checkpoint: auto}}}
outputs: {model: $loader.model}
"""


def test_a_listener_that_fails_during_a_download_is_not_taken_for_a_failed_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    path = tmp_path / "graph.yaml"
    path.write_text(GRAPH)
    heard: list[AnyEvent] = []

    def hear(event: AnyEvent) -> None:
        heard.append(event)
        raise BrokenPipeError("nobody reads this")

    with serving(whole(weights(pad=100_000))) as server:
        settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path / "cache"), "CHECKPOINT_URL": server.address()})
        with local_runtime(settings=settings) as runtime:
            plan = load(path, runtime=runtime).plan()
            with pytest.raises(BrokenPipeError, match="nobody reads this"):
                run(plan, on_event=hear)
    assert [type(event) for event in heard] == [Fetching]
