"""What containers do with a graph, in this process: no model, no Modal."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import AssetError, Cancelled, NodeError
from engine.events import Cached, Done, Failed, Fetching, Finished, Planned, Progress, Started, Warned
from nodes.assets import read_settings
from nodes.values import Model
from nova_graph.api import run
from nova_graph.modal.costs import cost_line, total_line
from nova_graph.modal.documents import for_owner, plan_document, without_history
from nova_graph.modal.drawing import Drawn, draw, draw_all
from nova_graph.modal.front import Front, front_runtime, planned_environment
from nova_graph.modal.preload import models_document
from nova_graph.modal.prices import AS_OF
from nova_graph.modal.studio import Studio, is_device_lost
from nova_graph.modal.timing import TimingLog, read_entries
from nova_graph.modal.volume import Shared, unshared
from nova_graph.modal.wire import CloudError, Message, Report, from_error, from_event, to_error, to_event
from nova_graph.options import Options
from nova_graph.runtime import Runtime, local_runtime
from tests.modal.cloud import ROOT

PLUGINS = Path(__file__).parents[1] / "nova_graph" / "plugins"
NANO = ROOT / "nodes/sdxl/nano/nova-nano.safetensors"


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


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_run_is_told_to_its_end_and_committed_once(place: Place) -> None:
    told = place.draw(graph("Plus", left=1))
    assert [each["event"] for each in told] == ["planned", "started", "finished", "done", "pictures", "report"]
    assert told[-2]["outputs"] == {"n": 2}
    assert (told[-1]["number"], told[-1]["cold"], told[-1]["ran"]) == (1, 7.0, 1)
    again = place.draw(graph("Plus", left=1))
    assert (again[-1]["number"], again[-1]["cold"], again[-1]["cached"]) == (2, 0.0, 1)
    assert place.commits == 2
    assert [entry["outcome"] for entry in read_entries(place.timing.folder)] == ["ok", "ok"]


def test_a_failure_is_text_and_the_container_stays(place: Place) -> None:
    *_, error, report = place.draw(graph("Break", left=1))
    assert error["event"] == "error"
    assert error["error"].endswith("n (Break) failed: ZeroDivisionError: integer division or modulo by zero")
    assert report["event"] == "report"
    assert place.left == 0
    assert place.draw(graph("Plus", left=1))[-2]["outputs"] == {"n": 2}


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


@pytest.mark.parametrize(
    ("error", "is_lost"),
    [
        (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (NodeError("sampler", "Sampler", RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")), True),
        (type("AcceleratorError", (RuntimeError,), {})("unspecified launch failure"), True),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), False),
        (ValueError("a mistake"), False),
    ],
)
def test_a_broken_device_is_told_from_a_mistake(error: BaseException, is_lost: bool) -> None:
    assert is_device_lost(error) is is_lost


def test_a_container_with_a_broken_device_takes_no_more_calls(place: Place, tmp_path: Path) -> None:
    broken = tmp_path / "nodes"
    broken.mkdir()
    source = (PLUGINS / "drill.py").read_text().replace("value=self.left // 0", "value=self.broken()")
    source = source.replace(
        "        if self.refuse:",
        '        raise RuntimeError("CUDA error: device-side assert triggered")\n        if self.refuse:',
    )
    (broken / "drill.py").write_text(source)
    runtime = local_runtime(settings=place.settings, options=Options(nodes=(broken,)), warn=print)
    left: list[int] = []
    studio = Studio(runtime, unshared(), place.timing, lambda: left.append(1))
    assert "error" in [each["event"] for each in studio.draw(graph("Break", left=1))]
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


def test_strangers_graphs_name_no_paths(place: Place) -> None:
    *_, error, _ = place.draw(named(str(NANO)), owner="somebody")
    assert error["event"] == "error"
    assert place.draw(named(str(NANO)))[-2]["outputs"] == {"n": 64}
    assert for_owner(place.runtime, "") is place.runtime


def test_the_front_plans_with_the_keys_of_a_gpu_it_does_not_have(tmp_path: Path) -> None:
    settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path), "NOVA_DEVICE": "cuda"}, folders=())
    environment = planned_environment(settings)
    assert (environment.device, environment.dtype) == ("cuda", "float16")
    assert front_runtime(settings, print).environment == environment
    assert front_runtime(settings, print).history is None


class Here:
    """The containers of a client, without Modal between them."""

    def __init__(self, place: Place) -> None:
        runtime = replace(place.runtime)
        self.front = Front(runtime, unshared())
        self.place = place
        self.prepared = 0
        self.ran = 0

    def prepare(self, documents: Sequence[dict[str, Any]]) -> Iterator[Message]:
        self.prepared += 1
        return self.front.prepare(documents)

    def run(self, document: dict[str, Any], previews: bool) -> Generator[Message, None, None]:
        self.ran += 1
        yield from self.place.studio.draw(document, previews=previews)

    def run_all(self, documents: Sequence[dict[str, Any]]) -> Generator[list[Message] | Exception, None, None]:
        for document in documents:
            yield list(self.run(document, previews=False))


def test_a_client_asks_a_gpu_only_for_what_is_unknown(place: Place) -> None:
    here = Here(place)
    events: list[Any] = []
    first = draw(here, graph("Plus", left=1), events.append, print)
    again = draw(here, graph("Plus", left=1), events.append, print)
    assert first.outputs == again.outputs == {"n": 2}
    assert here.ran == 1
    assert "on a processor, not priced; cold start" in cost_line(first)
    assert cost_line(again) == "every result was known: no GPU was asked"
    assert isinstance(events[-1], Done)


def test_a_failed_run_says_what_it_took(place: Place) -> None:
    failed = draw(Here(place), graph("Break", left=1), lambda _: None, print)
    assert isinstance(failed.error, CloudError)
    assert "on a processor, not priced; cold start" in cost_line(failed)
    mistaken = draw(Here(place), graph("Nonsense"), lambda _: None, print)
    assert isinstance(mistaken.error, CloudError)
    assert cost_line(mistaken) == "no GPU was asked"


def test_many_runs_come_back_in_order(place: Place) -> None:
    here = Here(place)
    draw(here, graph("Plus", left=2), lambda _: None, print)
    documents = [graph("Plus", left=1), graph("Plus", left=2), graph("Break", left=1), graph("Plus", left=3)]
    found = list(draw_all(here, documents, print))
    assert [each.outputs for each in found] == [{"n": 2}, {"n": 3}, {}, {"n": 4}]
    assert [isinstance(each.error, CloudError) for each in found] == [False, False, True, False]
    assert here.prepared == 2, "all of them are looked at in one call"
    assert total_line(found).startswith("3 GPU calls in all: ")
    assert total_line(found).endswith(" s on a processor, not priced")


def test_the_total_adds_up_what_each_gpu_took() -> None:
    report = Report(
        seconds=4.0, cold=1.0, device="NVIDIA L4", container="ta-1", number=1, ran=1, cached=0, environment=""
    )
    other = replace(report, device="NVIDIA H100 80GB HBM3", seconds=2.0, cold=0.0)
    drawn = [Drawn(report=report), Drawn(report=report, error=CloudError("no", "node")), Drawn(report=other), Drawn()]
    assert total_line(drawn) == (
        f"3 GPU calls in all: 2.0 s on NVIDIA H100 80GB HBM3, 10.0 s on NVIDIA L4, about $0.0044 (prices of {AS_OF})"
    )
    assert total_line([Drawn()]) == "0 GPU calls in all: nothing was left to compute"


EVENTS = (
    Planned(seconds=0.0, nodes=("a", "b"), to_run=("a",)),
    Fetching(seconds=0.1, node="a", type="A", done=1, total=None, what="x"),
    Started(seconds=0.1, node="a", type="A"),
    Progress(seconds=0.2, node="a", type="A", step=1, total=2, preview=b"small"),
    Warned(seconds=0.2, node="a", type="A", text="hm"),
    Cached(seconds=0.2, node="b", type="B", where="disk"),
    Finished(seconds=0.3, node="a", type="A", took=0.2),
    Failed(seconds=0.3, node="a", type="A", error="no"),
    Done(seconds=0.4, outcome="ok", ran=1, cached=1),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_cross_the_wire_whole(event: Any) -> None:
    message = from_event(event)
    assert to_event(message) == event
    assert to_event({**message, "of a later version": 1}) == event
    assert to_event({"event": message["event"]}) is None


def test_errors_keep_their_exit_code_across_the_wire() -> None:
    refused = NodeError("n", "Break", AssetError("no weights"))
    assert isinstance(to_error(from_error(refused)), AssetError)
    assert isinstance(to_error(from_error(Cancelled())), Cancelled)
    fault = to_error(from_error(KeyError("x")))
    assert isinstance(fault, CloudError)
    assert fault.kind == "fault"


def test_the_command_line_imports_modal_only_when_it_is_needed() -> None:
    program = "import sys, nova_graph.cli.app, nova_graph.cli.commands.cloud; sys.exit('modal' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
