"""Files that change between the plan and the end of the run: nothing is drawn, and nothing wrong is cached."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from PIL import Image

from engine import Asset, AssetPort, Context, Found, Handle, Loading, Node, Output
from engine.errors import AssetMissing, AssetRefused, NodeError
from nodes.assets import read_settings
from nodes.library import built_in
from nova_graph import Runtime, load, local_runtime, run

PICTURE = """\
nova: 1
nodes:
  load: {type: LoadImage, inputs: {picture: PATH}}
  png:  {type: Serializer, inputs: {image: $load.image}}
outputs: {file: $png.file}
"""
ENCODE = """\
nova: 1
inputs: {prompt: {type: string}}
nodes:
  loader: {type: CheckpointLoader, inputs: {checkpoint: PATH}}
  text:   {type: Encoder, inputs: {text_encoders: $loader.text_encoders, prompt: $inputs.prompt}}
outputs: {text: $text.conditioning}
"""
RED, BLUE = (255, 0, 0), (0, 0, 255)
NANO = Path("nodes/sdxl/nano")


class Counted(Output):
    count: int


class Count(Node[Counted]):
    """Count the bytes of a file, and take a step afterwards."""

    file: Annotated[str, AssetPort("image")]

    def run(self, ctx: Context) -> Counted:
        found = ctx.asset("file")
        assert found.path is not None
        count = len(found.path.read_bytes())
        ctx.progress(1, 1)
        return Counted(count=count)


@dataclass(frozen=True, slots=True)
class Content(Handle[bytes]):
    """The content of a file, read before something happens to it."""

    sha256: str
    then: Callable[[Path], object]

    def load(self, loading: Loading) -> bytes:
        path = loading.path(self.sha256)
        data = path.read_bytes()
        self.then(path)
        return data


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Runtime]:
    settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path / "cache"), "NOVA_THREADS": "1"})
    return lambda: local_runtime(settings=settings, registry=built_in().extended([Count]))


def paint(path: Path, colour: tuple[int, int, int]) -> Path:
    Image.new("RGB", (16, 16), colour).save(path, "PNG", compress_level=0)
    return path


def write(folder: Path, text: str, file: Path) -> Path:
    path = folder / "graph.yaml"
    path.write_text(text.replace("PATH", str(file)))
    return path


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def repaint_unseen(path: Path) -> None:
    """Put other content of the same size into the same file, and set its time back."""
    replace_unseen(path, paint(path.with_name("blue.png"), BLUE).read_bytes())


def turn_last_byte_unseen(path: Path) -> None:
    """Change one byte of the same file, and set its time back."""
    data = path.read_bytes()
    replace_unseen(path, data[:-1] + bytes([data[-1] ^ 1]))


def replace_unseen(path: Path, data: bytes) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("change", [lambda path: paint(path, BLUE), grow, repaint_unseen], ids=["new", "grown", "sly"])
def test_a_picture_changed_after_the_plan_is_refused_and_not_cached(
    tmp_path: Path, fresh: Callable[[], Runtime], change: Callable[[Path], object]
) -> None:
    path = paint(tmp_path / "a.png", RED)
    graph = write(tmp_path, PICTURE, path)
    with fresh() as runtime:
        plan = load(graph, runtime=runtime).plan()
        change(path)
        with pytest.raises(
            NodeError, match=r"load \(LoadImage\) failed: .*a\.png was changed after the run was planned"
        ):
            run(plan)
    paint(path, RED)
    with fresh() as runtime:
        result = run(load(graph, runtime=runtime).plan())
    assert {step.status for step in result.plan.steps} == {"run"}
    assert result.image.convert("RGB").getpixel((0, 0)) == RED


def test_a_picture_that_goes_away_after_the_plan_is_missing(tmp_path: Path, fresh: Callable[[], Runtime]) -> None:
    path = paint(tmp_path / "a.png", RED)
    with fresh() as runtime:
        plan = load(write(tmp_path, PICTURE, path), runtime=runtime).plan()
        path.unlink()
        with pytest.raises(NodeError, match=r"a\.png cannot be read any more: No such file") as caught:
            run(plan)
    assert isinstance(caught.value.cause, AssetMissing)


def test_a_file_changed_while_a_node_reads_it_gives_no_result(tmp_path: Path, fresh: Callable[[], Runtime]) -> None:
    path = paint(tmp_path / "a.png", RED)
    graph = tmp_path / "graph.yaml"
    graph.write_text(f"nova: 1\nnodes: {{n: {{type: Count, inputs: {{file: {path}}}}}}}\noutputs: {{n: $n.count}}\n")
    with fresh() as runtime:
        plan = load(graph, runtime=runtime).plan()
        with pytest.raises(NodeError, match="was changed after the run was planned"):
            run(plan, on_event=lambda event: grow(path) if type(event).__name__ == "Progress" else None)
        key = plan.engine_plan.steps[0].key
        assert key is not None
        assert runtime.services.cache.get(key, Counted) is None


@pytest.mark.parametrize("change", [grow, turn_last_byte_unseen], ids=["grown", "sly"])
def test_weights_changed_after_the_plan_are_not_loaded(
    tmp_path: Path, fresh: Callable[[], Runtime], change: Callable[[Path], object]
) -> None:
    path = Path(shutil.copy(next(NANO.glob("nova*.safetensors")), tmp_path / "own.safetensors"))
    graph = write(tmp_path, ENCODE, path)
    with fresh() as runtime:
        first = run(load(graph, runtime=runtime).plan(prompt="1girl"))
    with fresh() as runtime:
        plan = load(graph, runtime=runtime).plan(prompt="1girl, smile")
        assert [step.id for step in plan.engine_plan.to_run] == ["text"]
        change(path)
        with pytest.raises(NodeError, match=r"text \(Encoder\) failed: own\.safetensors was changed") as caught:
            run(plan)
        assert isinstance(caught.value.cause, AssetRefused)
    shutil.copy(next(NANO.glob("nova*.safetensors")), path)
    with fresh() as runtime:
        again = run(load(graph, runtime=runtime).plan(prompt="1girl"))
    assert again.outputs == first.outputs
    assert [step.id for step in again.plan.to_run] == []


def test_weights_changed_while_they_are_loaded_are_not_kept(tmp_path: Path, fresh: Callable[[], Runtime]) -> None:
    path = paint(tmp_path / "a.png", RED)
    asset = Asset("image", str(path))
    with fresh() as runtime:
        found = runtime.services.assets.find(asset)
        assert isinstance(found, Found)
        with (
            pytest.raises(AssetRefused, match="Run it again"),
            runtime.pool.resident(Content(found.sha256, grow), print),
        ):
            pass
        again = runtime.services.assets.find(asset)
        assert isinstance(again, Found)
        assert again.sha256 != found.sha256
        with runtime.pool.resident(Content(again.sha256, Path.exists), print) as live:
            assert live == path.read_bytes()
