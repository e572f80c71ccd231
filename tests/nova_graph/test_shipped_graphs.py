"""The graphs that come with nova-graph: each fits the schema, and those not run elsewhere draw."""

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

from engine.reading import read
from engine.values import Json
from nodes.assets import read_settings
from nova_graph import Result, Runtime, load, local_runtime, run
from nova_graph.cli.opening import declared_inputs, open_graph_file
from tests.nodes.sdxl.upscalers import compact, written

GRAPHS = sorted(Path("graphs").rglob("*.yaml"))
SCHEMA = json.loads(Path("schemas/graph.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    folder = tmp_path_factory.mktemp("cache")
    with local_runtime(settings=read_settings({"NOVA_CACHE_DIR": str(folder), "NOVA_THREADS": "1"})) as opened:
        yield opened


def draw(runtime: Runtime, name: str, **inputs: Json) -> Result:
    graph = load(Path("graphs") / name, runtime=runtime)
    return run(graph.plan_with({"checkpoint": "nova-nano", "steps": 2, **inputs}))


def test_there_are_graphs() -> None:
    assert len(GRAPHS) >= 7


@pytest.mark.parametrize("path", GRAPHS, ids=str)
def test_every_shipped_graph_fits_the_schema(path: Path) -> None:
    tree = read(path.read_text(encoding="utf-8"), str(path)).plainly()
    jsonschema.Draft202012Validator(SCHEMA).validate(tree)


@pytest.mark.parametrize("path", sorted(Path("graphs").glob("*.yaml")), ids=str)
def test_help_tells_what_every_input_is_for(path: Path) -> None:
    words = declared_inputs(open_graph_file(path))
    assert [name for name in words if "description" not in words[name]] == []


def test_img2img_draws_a_picture_again(runtime: Runtime, tmp_path: Path) -> None:
    Image.new("RGB", (128, 128), "teal").save(tmp_path / "start.png")
    result = draw(runtime, "img2img.yaml", picture=str(tmp_path / "start.png"), denoise=0.5, seed=3)
    (file,) = result.files
    assert (file.width, file.height) == (128, 128)
    assert file.seed == 3
    near = result.image.convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert isinstance(near, tuple)
    assert near[0] < min(near[1:])


@pytest.mark.parametrize("kind", ["clear", "painted"])
def test_inpainting_changes_nothing_around_the_mask(runtime: Runtime, tmp_path: Path, kind: str) -> None:
    start, hole = Image.effect_mandelbrot((132, 128), (-2, -1, 1, 1), 60).convert("RGB"), (0, 0, 50, 128)
    mask = Image.new("L", start.size, 0)
    mask.paste(255, hole)
    given: dict[str, Json] = {"picture": str(tmp_path / "start.png")}
    if kind == "clear":
        start.putalpha(mask.point(lambda value: 255 - value))
    else:
        given["mask"] = str(tmp_path / "mask.png")
        mask.save(tmp_path / "mask.png")
    start.save(tmp_path / "start.png")
    result = draw(runtime, "inpaint.yaml", **given, seed=3, blur=2)
    made, before = result.image.convert("RGB"), Image.open(tmp_path / "start.png").convert("RGB")
    assert made.size == before.size
    around, inside = (70, 0, 132, 128), (4, 0, 40, 128)
    assert made.crop(around).tobytes() == before.crop(around).tobytes()
    assert made.crop(inside).tobytes() != before.crop(inside).tobytes()


def test_the_sweep_draws_three_moods_with_one_loaded_checkpoint(runtime: Runtime) -> None:
    result = draw(runtime, "portrait-sweep.yaml")
    assert list(result.files_by_output) == ["happy", "calm", "sleepy"]
    assert [file.seed for file in result.files] == [11, 11, 11]
    assert len({file.pixel_sha256 for file in result.files}) == 3
    assert [step.id for step in result.plan.to_run if step.type == "CheckpointLoader"] in (["loader"], [])


def test_hires_draws_a_larger_picture_in_two_passes(runtime: Runtime) -> None:
    result = draw(runtime, "hires.yaml", seed=7)
    (file,) = result.files
    assert (file.width, file.height, file.seed) == (192, 192, 7)
    assert [step.id for step in result.plan.to_run if step.type in ("ResizeImage", "UpscaleImage")] == ["lanczos"]
    assert {"draw/sampler", "encode", "again", "face/detail"} <= {step.id for step in result.plan.to_run}


def test_hires_enlarges_with_an_upscaler_that_is_named(runtime: Runtime, tmp_path: Path) -> None:
    path = written(tmp_path / "2x-tiny.safetensors", compact(2))
    result = draw(runtime, "hires.yaml", seed=7, upscaler=str(path), scale=2.0, face=False)
    assert [(file.width, file.height) for file in result.files] == [(256, 256)]
    assert [step.id for step in result.plan.to_run if step.type in ("ResizeImage", "UpscaleImage")] == ["upscale"]
