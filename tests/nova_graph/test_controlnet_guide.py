"""The graph of docs/graphs.md that follows a picture runs as it is written, and its keys are content."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from diffusers import ControlNetModel
from PIL import Image

from engine.plan import Plan, make_plan
from nodes.assets import read_settings
from nodes.sdxl.configuration import METADATA_KEY
from nodes.sdxl.header import read_header
from nodes.sdxl.model import load_model
from nodes.values import Model
from nova_graph import Result, Runtime, load, local_runtime, run
from tests.nodes.sdxl.loading import WEIGHTS, loading
from tools.single_file import write_safetensors

GUIDE = Path("docs/graphs.md").read_text(encoding="utf-8")
WRITTEN = re.findall(r"^```yaml\n(nova: 1\n.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
DRAWS = ("follow", "sampler", "decode", "png")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two ControlNets for the embedded model, with random weights."""
    folder = tmp_path_factory.mktemp("networks")
    nano = Path(str(files("nodes.sdxl").joinpath("nano/nova-nano.safetensors")))
    metadata = {METADATA_KEY: read_header(nano).metadata[METADATA_KEY]}
    unet = load_model(Model(WEIGHTS, (128, 128)), loading(nano)).unet
    paths = (folder / "first.safetensors", folder / "second.safetensors")
    for seed, path in enumerate(paths):
        network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 4, 8, 8))
        generator = torch.Generator().manual_seed(seed)
        tensors = {
            name: tensor + 0.02 * torch.randn(tensor.shape, generator=generator)
            for name, tensor in network.state_dict().items()
        }
        write_safetensors(path, tensors, metadata)
    return paths


@pytest.fixture
def cache(tmp_path: Path, networks: tuple[Path, Path]) -> Path:
    """Return a cache with what the graph names."""
    for kind in ("controlnet", "image"):
        (tmp_path / "cache" / kind).mkdir(parents=True)
    put_network(tmp_path / "cache", networks[0])
    put_lines(tmp_path / "cache", (255, 255, 255))
    return tmp_path / "cache"


def put_network(cache: Path, network: Path) -> None:
    (cache / "controlnet" / "lineart.safetensors").write_bytes(network.read_bytes())


def put_lines(cache: Path, colour: tuple[int, int, int]) -> None:
    picture = Image.new("RGB", (96, 80))
    picture.paste(colour, (40, 0, 48, 80))
    picture.save(cache / "image" / "lines.png")


def opened(cache: Path) -> Runtime:
    return local_runtime(settings=read_settings({"NOVA_CACHE_DIR": str(cache), "NOVA_THREADS": "1"}))


def written(cache: Path) -> Path:
    """Write the graph as it stands in the guide, and return where it is."""
    path = cache.parent / "follow.yaml"
    path.write_text(next(text for text in WRITTEN if "ControlNet" in text), encoding="utf-8")
    return path


def planned(cache: Path, runtime: Runtime, **inputs: float) -> Plan:
    graph = load(written(cache), runtime=runtime)
    return make_plan(graph.bind({"seed": 5, **inputs}), runtime.services)


def drawn(cache: Path, runtime: Runtime, **inputs: float) -> Result:
    return run(load(written(cache), runtime=runtime).plan_with({"seed": 5, **inputs}))


def keys(cache: Path, **inputs: float) -> dict[str, str | None]:
    with opened(cache) as runtime:
        plan = planned(cache, runtime, **inputs)
        return {step.id: step.key for step in plan.steps if step.id in DRAWS}


def test_it_draws_along_the_picture(cache: Path) -> None:
    with opened(cache) as runtime:
        (followed,) = drawn(cache, runtime).files
        (free,) = drawn(cache, runtime, strength=0.0).files
    assert (followed.width, followed.height, followed.seed) == (128, 128, 5)
    assert followed.pixel_sha256 != free.pixel_sha256
    assert b"ControlNet 0" in followed.data
    assert b"ControlNet 0" not in free.data


def test_the_model_that_follows_comes_whole_out_of_the_cache(cache: Path) -> None:
    with opened(cache) as runtime:
        (first,) = drawn(cache, runtime).files
    with opened(cache) as runtime:
        assert planned(cache, runtime).to_run == ()
        again = drawn(cache, runtime, seed=6)
        assert {step.id for step in again.plan.to_run} == {"sampler", "decode", "png"}
    with opened(cache.parent / "empty") as runtime:
        for kind in ("controlnet", "image"):
            (cache.parent / "empty" / kind).parent.mkdir(exist_ok=True)
            (cache.parent / "empty" / kind).symlink_to(cache / kind)
        anew = drawn(cache, runtime, seed=6)
    assert again.files[0].pixel_sha256 == anew.files[0].pixel_sha256 != first.pixel_sha256


def test_another_file_under_the_same_name_gives_other_keys(cache: Path, networks: tuple[Path, Path]) -> None:
    before = keys(cache)
    put_network(cache, networks[1])
    after = keys(cache)
    assert all(before[step] != after[step] for step in DRAWS)
    put_network(cache, networks[0])
    assert keys(cache) == before


def test_another_picture_to_follow_gives_other_keys(cache: Path) -> None:
    before = keys(cache)
    put_lines(cache, (255, 0, 0))
    after = keys(cache)
    assert all(before[step] != after[step] for step in DRAWS)
    assert keys(cache, strength=0.5) != after
