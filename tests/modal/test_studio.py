"""What a GPU container does with a graph, in this process: no model, no Modal."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodes.values import Model
from nova_graph.api import run
from nova_graph.modal.documents import for_owner, plan_document
from nova_graph.modal.preload import models_document
from nova_graph.modal.studio import Studio
from nova_graph.modal.timing import read_entries
from nova_graph.modal.volume import Shared, unshared
from nova_graph.modal.wire import Message
from nova_graph.options import Options
from nova_graph.runtime import local_runtime
from tests.modal.cloud import NODES, ROOT
from tests.modal.place import PLUGINS, Place, graph, named

NANO = ROOT / "nodes/sdxl/nano/nova-nano.safetensors"


def test_a_run_is_told_to_its_end_and_committed_once(place: Place) -> None:
    told = place.draw(graph("Plus", left=1))
    assert [each["event"] for each in told] == ["planned", "started", "finished", "done", "pictures", "report"]
    assert told[-2]["outputs"] == {"n": 2}
    assert (told[-1]["number"], told[-1]["cold"], told[-1]["ran"]) == (1, 7.0, 1)
    again = place.draw(graph("Plus", left=1))
    assert (again[-1]["number"], again[-1]["cold"], again[-1]["cached"]) == (2, 0.0, 1)
    assert place.commits == 2
    assert [entry["outcome"] for entry in read_entries(place.timing.folder)] == ["ok", "ok"]


def test_a_failure_is_text_and_the_container_stays(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    *_, error, report = place.draw(graph("Break", left=1))
    assert error["event"] == "error"
    assert error["error"].endswith("n (Break) failed: ZeroDivisionError: integer division or modulo by zero")
    assert report["event"] == "report"
    assert "self.left // 0" in caplog.text, "the log has the traceback"
    assert place.left == 0
    assert place.draw(graph("Plus", left=1))[-2]["outputs"] == {"n": 2}


LARGE = """
from engine import Context, Node, Output
from nodes.values import Array

class Filled(Output):
    value: int
    data: Array

class Fill(Node[Filled]):
    '''Take long to be written.'''

    def run(self, ctx: Context) -> Filled:
        return Filled(value=1, data=Array("U8", (64 << 20,), bytes(64 << 20)))
"""


def test_what_a_failed_call_finished_is_on_the_volume(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "nodes"
    folder.mkdir()
    (folder / "large.py").write_text(LARGE)
    runtime = local_runtime(settings=place.settings, options=Options(nodes=(PLUGINS, folder)), warn=print)
    assert runtime.store is not None
    store, kept = runtime.store, list[int]()
    volume = Shared(commit=lambda: kept.append(store.usage()[0]), reload=refuse)
    studio = Studio(runtime, volume, place.timing, refuse)
    nodes: Any = {"fill": {"type": "Fill"}, "n": {"type": "Break", "inputs": {"left": "$fill.value"}}}
    told = list(studio.draw({"nova": 1, "nodes": nodes, "outputs": {"n": "$n.value"}}))
    assert told[-2]["kind"] == "node"
    assert kept == [1]


def refuse() -> None:
    raise RuntimeError("a file is in use, or the volume is full")


def test_a_volume_that_takes_nothing_costs_no_picture(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.on_commit = refuse
    assert place.draw(graph("Plus", left=1))[-2]["outputs"] == {"n": 2}
    assert "the results of this call are not on the Volume: RuntimeError: " in caplog.text


def test_a_time_that_cannot_be_noted_costs_no_picture(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.timing.folder.write_text("in the way")
    *_, pictures, report = place.draw(graph("Plus", left=1))
    assert pictures["outputs"] == {"n": 2}
    assert report["event"] == "report"
    assert "the time of this call is not noted: " in caplog.text


def test_a_caller_that_stops_listening_stops_the_run(place: Place) -> None:
    messages: Iterator[Message] = place.studio.draw(graph("Wait", steps=100_000))
    for message in messages:
        if message["event"] == "progress":
            break
    messages.close()  # type: ignore[attr-defined]
    assert place.commits == 1
    assert read_entries(place.timing.folder)[0]["outcome"] == "cancelled"


def test_a_run_that_takes_longer_than_it_may_is_stopped_and_told_so(place: Place) -> None:
    *_, error, report = place.draw(graph("Wait", steps=100_000), seconds=0.0)
    assert (error["kind"], error["error"]) == ("other", "the job took longer than the 0 s it may take")
    assert report["number"] == 1
    assert place.draw(graph("Plus", left=1), seconds=3600.0)[-2]["outputs"] == {"n": 2}
    *_, mistake, _ = place.draw(graph("Break", left=1), seconds=3600.0)
    assert "ZeroDivisionError" in mistake["error"]


def test_a_cancelled_input_stops_the_run_before_it_goes_on(place: Place) -> None:
    class InputCancellation(BaseException):
        pass

    messages: Any = place.studio.draw(graph("Wait", steps=100_000))
    while next(messages)["event"] != "progress":
        pass
    with pytest.raises(InputCancellation):
        messages.throw(InputCancellation())
    assert read_entries(place.timing.folder)[0]["outcome"] == "cancelled"


def test_a_container_with_a_broken_device_takes_no_more_calls(place: Place) -> None:
    runtime = local_runtime(settings=place.settings, options=Options(nodes=(NODES,)), warn=print)
    left: list[int] = []
    studio = Studio(runtime, unshared(), place.timing, lambda: left.append(1))
    assert "error" in [each["event"] for each in studio.draw(graph("Lose"))]
    assert left == [1]


def test_a_missing_checkpoint_is_looked_for_again_and_then_an_error(place: Place) -> None:
    *_, error, _ = place.draw(named("auto"))
    assert error["kind"] == "asset"
    assert "CHECKPOINT_URL" in error["error"]

    def arrive() -> None:
        (place.settings.cache / "checkpoint").mkdir(exist_ok=True)
        shutil.copy(NANO, place.settings.cache / "checkpoint" / "nova.safetensors")

    place.on_reload = arrive
    assert place.draw(named("auto"))[-2]["outputs"] == {"n": 64}


@pytest.mark.parametrize(("on_reload", "is_kept"), [(lambda: None, True), (refuse, False)])
def test_models_are_forgotten_only_where_a_file_is_in_use(
    place: Place, on_reload: Callable[[], None], is_kept: bool
) -> None:
    pool = place.runtime.pool
    model = run(plan_document(models_document(str(NANO)), place.runtime)).outputs["model"]
    assert isinstance(model, Model)
    with pool.resident(model, print):
        pass
    place.on_reload = on_reload
    *_, error, _ = place.draw(named("auto"))
    assert error["kind"] == "asset"
    assert (pool.clear() > 0) is is_kept


def test_nothing_is_downloaded_where_a_gpu_waits(tmp_path: Path) -> None:
    place = Place(tmp_path, environ={"CHECKPOINT_URL": "https://models.example/nova.safetensors?key=hidden"})
    *_, error, _ = place.draw(named("auto"))
    assert "is not on the Volume yet" in error["error"]
    assert "modal run runtime_modal.py::fetch_checkpoint" in error["error"]
    assert "hidden" not in error["error"]


def test_a_fallback_draws_where_the_checkpoint_cannot_be_had(tmp_path: Path) -> None:
    place = Place(tmp_path, fallback="nova-nano")
    told = place.draw(named("auto"))
    assert "drawing with nova-nano instead, because:" in told[0]["text"]
    assert told[-2]["outputs"] == {"n": 64}
    *_, error, _ = place.draw(graph("Break", left=1))
    assert error["event"] == "error", "what a checkpoint cannot mend is not tried again"


def test_a_fallback_draws_where_the_checkpoint_is_something_else(tmp_path: Path) -> None:
    from numpy import zeros
    from safetensors.numpy import save_file

    (tmp_path / "checkpoint").mkdir()
    save_file({"lora_unet_middle_block.lora_up.weight": zeros((2, 2))}, tmp_path / "checkpoint" / "style.safetensors")
    place = Place(tmp_path, fallback="nova-nano")
    loader: Any = {"type": "CheckpointLoader", "inputs": {"checkpoint": "$inputs.checkpoint"}}
    declared: Any = {"checkpoint": {"type": "string", "default": "style"}}
    document: Any = {"nova": 1, "inputs": declared, "nodes": {"n": loader}, "outputs": {"n": "$n.model"}}
    told = place.draw(document)
    warned = [each["text"] for each in told if each["event"] == "warned"]
    assert [text.startswith("drawing with nova-nano instead, because: ") for text in warned] == [True]
    assert "style.safetensors is a LoRA, not a checkpoint" in warned[0]
    assert told[-2]["event"] == "pictures"


def test_strangers_graphs_name_no_paths(place: Place) -> None:
    *_, error, _ = place.draw(named(str(NANO)), owner="somebody")
    assert error["event"] == "error"
    assert place.draw(named(str(NANO)))[-2]["outputs"] == {"n": 64}
    assert for_owner(place.runtime, "") is place.runtime
