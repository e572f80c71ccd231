"""What is asked for is what is drawn: colours on nova-nano, with margins that hold on any machine."""

import colorsys
from pathlib import Path

import pytest
from PIL.Image import Image as Picture

from engine.values import Json
from nodes.assets import read_settings
from nova_graph import Graph, Runtime, load, local_runtime, run

FAST = Path("graphs/fast.yaml")
CORNER = (2, 2, 12, 12)
CROWN = (54, 22, 74, 32)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """One runtime for all, so that the model is loaded once."""
    settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path_factory.mktemp("cache")), "NOVA_THREADS": "1"})
    return local_runtime(settings=settings, on_disk=False)


@pytest.fixture
def graph(runtime: Runtime) -> Graph:
    return load(FAST, runtime=runtime)


def draw(graph: Graph, prompt: str, **inputs: Json) -> Picture:
    return run(graph.plan_with({"prompt": prompt, "checkpoint": "nova-nano", "steps": 10, "seed": 3, **inputs})).image


def colour(picture: Picture, box: tuple[int, int, int, int]) -> str:
    """Return the colour of a patch in a word."""
    patch = picture.convert("RGB").crop(box).resize((1, 1))
    red, green, blue = (channel / 255 for channel in patch.tobytes())
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    degrees = hue * 360
    if value < 0.4:
        return "black"
    if saturation < 0.15:
        return "white"
    if degrees < 20 or degrees > 300:
        return "pink" if value > 0.8 and saturation < 0.5 else "red"
    return "yellow" if degrees < 70 else "green" if degrees < 170 else "blue"


@pytest.mark.parametrize(
    ("hair", "hair_colour", "background"),
    [
        ("blue", "blue", "red"),
        ("pink", "pink", "green"),
        ("blonde", "yellow", "blue"),
        ("green", "green", "white"),
        ("red", "red", "yellow"),
        ("black", "black", "pink"),
    ],
)
def test_hair_and_background_come_out_as_prompted(graph: Graph, hair: str, hair_colour: str, background: str) -> None:
    picture = draw(graph, f"1girl, solo, {hair} hair, long hair, smile, {background} background, close-up")
    assert (colour(picture, CROWN), colour(picture, CORNER)) == (hair_colour, background)


@pytest.mark.parametrize(
    ("sampler", "schedule"),
    [("dpmpp_3m_sde", "karras"), ("dpmpp_sde", "karras"), ("dpmpp_2s_ancestral", "normal"), ("dpmpp_2m", "beta")],
)
def test_samplers_and_schedules_draw_what_is_prompted(runtime: Runtime, sampler: str, schedule: str) -> None:
    inputs: dict[str, Json] = {"sampler": sampler, "schedule": schedule, "face": False}
    prompt = "1girl, solo, blue hair, long hair, smile, red background, close-up"
    picture = draw(load("graphs/default.yaml", runtime=runtime), prompt, **inputs)
    assert (colour(picture, CROWN), colour(picture, CORNER)) == ("blue", "red")


def test_of_two_colours_the_heavier_one_wins(graph: Graph) -> None:
    blue = draw(graph, "1girl, solo, (blue hair:1.5), (red hair:0.5), white background, close-up")
    red = draw(graph, "1girl, solo, (blue hair:0.5), (red hair:1.5), white background, close-up")
    assert (colour(blue, CROWN), colour(red, CROWN)) == ("blue", "red")


def test_a_batch_is_its_pictures_one_by_one(tmp_path: Path) -> None:
    settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path), "NOVA_THREADS": "1"})
    with local_runtime(settings=settings, on_disk=False) as runtime:
        default = load("graphs/default.yaml", runtime=runtime)
        inputs: dict[str, Json] = {"checkpoint": "nova-nano", "steps": 4, "face": False}
        batch = run(default.plan_with({**inputs, "seed": 5, "count": 2})).files
        alone = [run(default.plan_with({**inputs, "seed": seed})).files[0] for seed in (5, 6)]
    assert [file.pixel_sha256 for file in batch] == [file.pixel_sha256 for file in alone]
    assert [file.seed for file in batch] == [5, 6]
