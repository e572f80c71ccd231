"""What a client makes of what containers tell it, in this process: no model, no Modal."""

import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import NovaError
from engine.events import Done
from nodes.assets import read_settings
from nova_graph.modal.costs import cost_line, total_line
from nova_graph.modal.drawing import Drawn, draw, draw_all
from nova_graph.modal.front import Front, front_runtime, planned_environment
from nova_graph.modal.prices import AS_OF
from nova_graph.modal.volume import unshared
from nova_graph.modal.wire import CloudError, Message, Report
from tests.modal.cloud import ROOT
from tests.modal.place import Place, graph


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

    def run_all(self, documents: Sequence[dict[str, Any]]) -> Generator[list[Message] | NovaError, None, None]:
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


class Older(Here):
    """Containers of an app that was deployed before apps said which protocol they speak."""

    def prepare(self, documents: Sequence[dict[str, Any]]) -> Iterator[Message]:
        return (message for message in super().prepare(documents) if message["event"] != "hello")


def test_an_app_of_another_version_is_to_be_deployed_again_before_a_gpu_starts(place: Place) -> None:
    older = Older(place)
    with pytest.raises(CloudError, match=r"protocol None, this client 1\n  Deploy it again: modal deploy"):
        draw(older, graph("Plus", left=1), lambda _: None, print)
    assert older.ran == 0


def test_a_seed_is_told_before_anything_is_asked_for(place: Place) -> None:
    here = Here(place)
    document = {**graph("Plus", left="$inputs.seed"), "inputs": {"seed": {"type": "seed", "default": 41}}}
    told: list[tuple[str, int]] = []
    drawn = draw(here, document, lambda _: None, lambda text: told.append((text, here.prepared)))
    assert drawn.outputs == {"n": 42}
    assert told == [("seed: 41", 0)]


def test_a_failed_run_says_what_it_took(place: Place) -> None:
    failed = draw(Here(place), graph("Break", left=1), lambda _: None, print)
    assert isinstance(failed.error, CloudError)
    assert "on a processor, not priced; cold start" in cost_line(failed)
    mistaken = draw(Here(place), graph("Nonsense"), lambda _: None, print)
    assert isinstance(mistaken.error, CloudError)
    assert cost_line(mistaken) == "no GPU was asked"


def test_a_run_on_a_gpu_tells_seconds_dollars_cold_start_and_cache_hits() -> None:
    a100 = "NVIDIA A100-SXM4-40GB"
    report = Report(seconds=6.0, cold=2.0, device=a100, container="ta-1", number=1, ran=4, cached=2, environment="")
    spent = f"8.0 GPU seconds on A100-40GB, about $0.0047 (prices of {AS_OF})"
    assert cost_line(Drawn(report=report, waited=9.0)) == f"{spent}; cold start 9.0 s; 4 nodes ran, 2 cached"
    warm = Drawn(report=replace(report, seconds=8.0, cold=0.0, number=2), waited=0.1)
    assert cost_line(warm) == f"{spent}; warm container; 4 nodes ran, 2 cached"


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
    late = Drawn(error=CloudError("the call took longer than 900 s", "fault"), is_lost=True)
    assert total_line([Drawn(report=other), late]) == (
        f"2 GPU calls in all: 2.0 s on NVIDIA H100 80GB HBM3, about $0.0022 (prices of {AS_OF})"
        "; what 1 took is not known"
    )
    assert total_line([Drawn()]) == "0 GPU calls in all: nothing was left to compute"


def test_the_command_line_imports_modal_only_when_it_is_needed() -> None:
    program = "import sys, nova_graph.cli.app, nova_graph.cli.commands.cloud; sys.exit('modal' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
