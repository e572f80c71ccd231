"""The Python face: load, plan, run, and its async twin."""

import asyncio
import gc
import io
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

from engine.errors import Cancelled, GraphErrors
from engine.events import AnyEvent, Done, Progress
from nodes.assets import read_settings
from nova_graph import Cancel, Runtime, arun, load, local_runtime, run
from nova_graph.options import Options
from tests.nova_graph.command import ROOT, Command

GRAPH = """\
nova: 1
inputs:
  steps: {type: integer, default: 2}
  seed:  {type: seed, default: random}
nodes:
  loader:  {type: CheckpointLoader, inputs: {checkpoint: nova-nano}}
  encoder: {type: Encoder, inputs: {text_encoders: $loader.text_encoders, prompt: "1girl, blue hair"}}
  sampler:
    type: Sampler
    inputs:
      model: $loader.model
      conditioning: $encoder.conditioning
      steps: $inputs.steps
      seed: $inputs.seed
  decode:  {type: Decode, inputs: {vae: $loader.vae, latents: $sampler.latents}}
  png:     {type: Serializer, inputs: {image: $decode.image}}
outputs:
  file: $png.file
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return local_runtime(settings=read_settings({"NOVA_CACHE_DIR": str(tmp_path / "cache"), "NOVA_THREADS": "1"}))


@pytest.fixture
def graph_file(tmp_path: Path) -> Path:
    path = tmp_path / "graph.yaml"
    path.write_text(GRAPH, encoding="utf-8")
    return path


def test_a_graph_is_loaded_planned_and_run(graph_file: Path, runtime: Runtime) -> None:
    graph = load(graph_file, runtime=runtime)
    heard: list[AnyEvent] = []
    result = run(graph.plan(seed=3), on_event=heard.append)
    assert result.image.size == (128, 128)
    assert result.image.info["parameters"].startswith("1girl, blue hair\n")
    assert result.events == tuple(heard)
    assert result.files[0].seed == 3
    assert Image.open(io.BytesIO(result.files[0].data)).tobytes() == result.image.tobytes()
    assert result.record["inputs"] == {"steps": 2, "seed": 3}
    assert result.record["environment"] == runtime.environment.fingerprint
    assert result.record["assets"][0]["how"] == "embedded nova-nano"  # type: ignore[index,call-overload]


def test_a_random_seed_is_drawn_once_and_recorded(graph_file: Path, runtime: Runtime) -> None:
    graph = load(graph_file, runtime=runtime)
    plans = [graph.plan(), graph.plan()]
    seeds = [plan.engine_plan.bound.inputs["seed"].value for plan in plans]
    assert seeds[0] != seeds[1]
    assert run(plans[0]).record["inputs"] == {"steps": 2, "seed": seeds[0]}


def test_a_wrong_input_is_an_error_before_anything_runs(graph_file: Path, runtime: Runtime) -> None:
    with pytest.raises(GraphErrors, match="did you mean"):
        load(graph_file, runtime=runtime).plan(stpes=3)


def test_the_async_twin_gives_the_same_picture(graph_file: Path, runtime: Runtime, tmp_path: Path) -> None:
    expected = run(load(graph_file, runtime=runtime).plan(seed=3)).files
    fresh = local_runtime(settings=read_settings({"NOVA_CACHE_DIR": str(tmp_path / "other"), "NOVA_THREADS": "1"}))
    result = asyncio.run(arun(load(graph_file, runtime=fresh).plan(seed=3)))
    assert [file.pixel_sha256 for file in result.files] == [file.pixel_sha256 for file in expected]


def test_cancelling_the_task_stops_the_run_between_steps(graph_file: Path, runtime: Runtime) -> None:
    plan = load(graph_file, runtime=runtime).plan(seed=3, steps=150)
    heard: list[AnyEvent] = []
    complaints: list[dict[str, object]] = []

    async def draw_and_cancel() -> None:
        loop = asyncio.get_running_loop()
        begun = asyncio.Event()

        def hear(event: AnyEvent) -> None:
            heard.append(event)
            if isinstance(event, Progress):
                loop.call_soon_threadsafe(begun.set)

        task = asyncio.create_task(arun(plan, on_event=hear))
        await begun.wait()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await loop.shutdown_default_executor()  # its threads hold what they ran until they end
        del task
        gc.collect()

    asyncio.run(draw_and_cancel())
    assert complaints == []
    assert isinstance(heard[-1], Done)
    assert heard[-1].outcome == "cancelled"
    assert max(event.step for event in heard if isinstance(event, Progress)) < 150


def test_a_run_can_be_cancelled_from_the_callback(graph_file: Path, runtime: Runtime) -> None:
    cancel = Cancel()
    heard: list[AnyEvent] = []

    def hear(event: AnyEvent) -> None:
        heard.append(event)
        if isinstance(event, Progress):
            cancel.set()

    with pytest.raises(Cancelled):
        run(load(graph_file, runtime=runtime).plan(seed=3, steps=20), on_event=hear, cancel=cancel)
    assert [event.step for event in heard if isinstance(event, Progress)] == [1]
    assert isinstance(heard[-1], Done)
    assert heard[-1].outcome == "cancelled"


def test_the_guide_to_python_tells_the_truth(tmp_path: Path) -> None:
    """Its blocks, one after the other as they stand there, are a program that runs."""
    guide = Path("docs/python.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in guide.split("```python\n")[1:]]
    assert len(blocks) == 5
    program = "\n".join(blocks).replace("result.image.show()\n", "assert result.image.size == (128, 128)\n")
    assert "show" not in program
    (tmp_path / "guide.py").write_text(program, encoding="utf-8")
    shutil.copytree("graphs", tmp_path / "graphs")
    environ = {**Command(tmp_path).environ, "NOVA_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "guide.py"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped after three steps\n", "")
    with Image.open(tmp_path / "girl.png") as picture:
        assert picture.info["parameters"].startswith("1girl, white hair, smile\n")


@pytest.mark.parametrize("package", ["engine", "nodes", "nova_graph"])
def test_the_packages_say_that_they_are_typed(package: str) -> None:
    assert (files(package) / "py.typed").is_file()


def test_the_guide_to_writing_nodes_tells_the_truth(tmp_path: Path, runtime: Runtime) -> None:
    """The node and the graph of docs/writing-nodes.md, as they stand there, run."""
    guide = Path("docs/writing-nodes.md").read_text(encoding="utf-8")
    node = guide.split("```python\n")[1].split("```")[0]
    graph = guide.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "my_nodes").mkdir()
    (tmp_path / "my_nodes" / "shout.py").write_text(node, encoding="utf-8")
    (tmp_path / "shout.yaml").write_text(graph, encoding="utf-8")
    with local_runtime(options=Options(nodes=(tmp_path / "my_nodes",)), on_disk=False) as own:
        assert run(load(tmp_path / "shout.yaml", runtime=own).plan(words="hi")).outputs == {"text": "HI!!!"}
