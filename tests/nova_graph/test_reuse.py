"""What is reused when one input of the default graph changes: the promise to everybody who edits a graph."""

import shutil
from pathlib import Path

import pytest

from engine.bound import Literal
from engine.events import Cached
from engine.values import Json
from nodes.assets import read_settings
from nova_graph import Result, load, local_runtime, run

GRAPH = Path("graphs/default.yaml")
SAMPLER_ONWARD = {"sampler", "decode", "face/detect", "face/detail", "png"}
BASE: dict[str, Json] = {
    "prompt": "1girl, solo, blue hair, red eyes, smile, white background, close-up",
    "checkpoint": "nova-nano",
    "steps": 3,
    "seed": 7,
}


def draw(cache: Path, **changes: Json) -> Result:
    """Run the default graph on a runtime of its own, as a new process would."""
    with local_runtime(settings=read_settings({"NOVA_CACHE_DIR": str(cache), "NOVA_THREADS": "1"})) as runtime:
        graph = load(GRAPH, runtime=runtime)
        return run(graph.plan_with({**BASE, **changes}))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The cache after one run of the default graph, and its result."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, draw(cache)


@pytest.fixture
def cache(drawn: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy of that cache."""
    return Path(shutil.copytree(drawn[0], tmp_path / "cache"))


def ran(result: Result) -> set[str]:
    return {step.id for step in result.plan.to_run}


def test_the_first_run_runs_every_node(drawn: tuple[Path, Result]) -> None:
    assert ran(drawn[1]) == {"loader", "vae", "encoder", "pag", *SAMPLER_ONWARD}


def test_the_same_again_runs_nothing_and_gives_the_same_bytes(drawn: tuple[Path, Result], cache: Path) -> None:
    again = draw(cache)
    assert ran(again) == set()
    assert again.files == drawn[1].files
    where = {event.node: event.where for event in again.events if isinstance(event, Cached)}
    assert where["png"] == "disk"
    assert where["sampler"] == "unneeded"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"face_denoise": 0.6}, {"face/detail", "png"}),
        ({"face": False}, {"png"}),
        ({"face_prompt": "closed eyes"}, {"face/encoder", "face/detail", "png"}),
        ({"cfg": 6.0}, SAMPLER_ONWARD),
        ({"seed": 8}, SAMPLER_ONWARD),
        ({"pag_scale": 0.0}, SAMPLER_ONWARD),
        ({"prompt": "1girl, pink hair"}, {"encoder", *SAMPLER_ONWARD}),
        ({"clip_skip": 1}, {"encoder", *SAMPLER_ONWARD}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_changed_input_runs_exactly_what_follows_from_it(
    cache: Path, changes: dict[str, Json], expected: set[str]
) -> None:
    assert ran(draw(cache, **changes)) == expected


def test_back_to_an_earlier_prompt_runs_nothing(drawn: tuple[Path, Result], cache: Path) -> None:
    draw(cache, prompt="1girl, pink hair")
    back = draw(cache)
    assert ran(back) == set()
    assert back.files == drawn[1].files


def test_without_pag_the_keys_are_those_of_a_graph_that_has_none(cache: Path, tmp_path: Path) -> None:
    lines = GRAPH.read_text(encoding="utf-8").splitlines(keepends=True)
    start = next(index for index, line in enumerate(lines) if line.startswith("  pag:\n"))
    without = [*lines[:start], *lines[start + 5 :]]
    text = "".join(line for line in without if "$pag.guidance" not in line and not line.startswith("  pag_scale"))
    assert "pag" not in text.partition("nodes:")[2]
    shutil.copytree(GRAPH.parent / "parts", tmp_path / "parts")
    (tmp_path / "plain.yaml").write_text(text, encoding="utf-8")
    with local_runtime(settings=read_settings({"NOVA_CACHE_DIR": str(cache), "NOVA_THREADS": "1"})) as runtime:
        off = load(GRAPH, runtime=runtime).plan_with({**BASE, "pag_scale": 0.0}).engine_plan
        none = load(tmp_path / "plain.yaml", runtime=runtime).plan_with(BASE).engine_plan
    assert {step.id: step.key for step in off.steps} == {step.id: step.key for step in none.steps}


def test_the_reasons_name_what_changed(cache: Path) -> None:
    with local_runtime(settings=read_settings({"NOVA_CACHE_DIR": str(cache), "NOVA_THREADS": "1"})) as runtime:
        graph = load(GRAPH, runtime=runtime)
        reasons = graph.plan_with({**BASE, "steps": 4, "face_denoise": 0.5}).reasons
    assert reasons["sampler"] == "steps 3 -> 4"
    assert reasons["decode"] == "sampler changed upstream"
    assert reasons["face/detail"].startswith("denoise default -> 0.5, steps 3 -> 4")
    assert "encoder" not in reasons


def test_faces_are_drawn_as_the_picture_is(cache: Path) -> None:
    choices: dict[str, Json] = {
        "sampler": "euler",
        "schedule": "karras",
        "rescale": 0.5,
        "weighting": "comfy",
        "clip_skip": 1,
    }
    with local_runtime(settings=read_settings({"NOVA_CACHE_DIR": str(cache), "NOVA_THREADS": "1"})) as runtime:
        plan = load(GRAPH, runtime=runtime).plan_with({**BASE, **choices, "face_prompt": "closed eyes"}).engine_plan
    bound = {node.id: node.bindings for node in plan.bound.nodes}
    for picture, face in (("sampler", "face/detail"), ("encoder", "face/encoder")):
        for port in choices.keys() & bound[picture].keys():
            for node in (picture, face):
                binding = bound[node][port]
                assert isinstance(binding, Literal)
                assert binding.value == choices[port]
