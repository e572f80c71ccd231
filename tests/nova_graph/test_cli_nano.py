"""The installed command draws with the embedded model, remembers, and draws the same again."""

import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image as Pillow

from nodes.pictures.record import read_metadata
from tests.nova_graph.command import ROOT, Command, events

NANO = ROOT / "nodes" / "sdxl" / "nano"
GRAPH = str(ROOT / "graphs" / "default.yaml")
WORDS = ["run", GRAPH, "--seed", "7", "--steps", "6", "--pag-scale", "2"]


@dataclass(frozen=True)
class Drawn:
    command: Command
    told: list[dict[str, object]]
    path: Path
    said: str
    """What the command said on the terminal."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    command = Command(tmp_path_factory.mktemp("nano"))
    done = command.call(*WORDS, "--json", timeout=280)
    told = events(done.stdout)
    pictures = told[-1]["pictures"]
    assert isinstance(pictures, list)
    return Drawn(command, told, command.folder / pictures[0]["path"], done.stderr)


def states(told: list[dict[str, object]]) -> dict[object, object]:
    return {each["node"]: each["event"] for each in told if each["event"] in ("cached", "finished")}


def test_every_node_ran_and_the_sampler_told_its_steps(drawn: Drawn) -> None:
    assert set(states(drawn.told).values()) == {"finished"}
    steps = [each["step"] for each in drawn.told if each["event"] == "progress" and each["node"] == "sampler"]
    assert steps[-1] == 6
    assert steps == sorted(steps)  # type: ignore[type-var]


def test_the_terminal_tells_that_the_model_is_the_embedded_one(drawn: Drawn) -> None:
    line = "checkpoint: embedded nova-nano, a tiny model to try things with, because no checkpoint is set"
    assert sum(said.startswith(line) for said in drawn.said.splitlines()) == 1


def test_the_picture_tells_how_it_was_made(drawn: Drawn) -> None:
    record = read_metadata(drawn.path.read_bytes())
    assert record.seed == 7
    assert record.inputs["steps"] == 6
    assert "Steps: 6, Sampler: Euler a" in record.parameters
    assert "PAG Scale: 2" in record.parameters
    assert "Model: nova-nano" in record.parameters
    assert {str(asset["kind"]): asset["sha256"] for asset in record.assets} == {
        "checkpoint": sha256((NANO / "nova-nano.safetensors").read_bytes()).hexdigest(),
        "vae": "",
        "detector": sha256((NANO / "face.safetensors").read_bytes()).hexdigest(),
    }
    assert f"torch={version('torch')}" in record.environment
    assert str(Path.home()).encode() not in drawn.path.read_bytes()
    assert str(ROOT).encode() not in drawn.path.read_bytes()
    with Pillow.open(drawn.path) as picture:
        assert picture.size == (128, 128)
        pixels = picture.convert("RGB").tobytes()
    assert len(set(pixels)) > 50
    assert record.pixels == sha256(b"128x128\n" + pixels).hexdigest()


def test_only_what_an_edit_touches_runs_again_in_a_new_process(drawn: Drawn) -> None:
    plan = drawn.command.call("plan", *WORDS[1:], "--face-denoise", "0.3").stdout
    assert "2 nodes to run" in plan
    again = states(events(drawn.command.call(*WORDS, "--json", "--no-face").stdout))
    assert again["png"] == "finished"
    assert [node for node, event in again.items() if event == "finished"] == ["png"]


def test_the_same_run_is_a_full_hit_that_still_gives_the_picture(drawn: Drawn) -> None:
    told = events(drawn.command.call(*WORDS, "--json").stdout)
    assert set(states(told).values()) == {"cached"}
    pictures = told[-1]["pictures"]
    assert isinstance(pictures, list)
    assert (drawn.command.folder / pictures[0]["path"]).read_bytes() == drawn.path.read_bytes()


def test_a_full_hit_loads_no_model(drawn: Drawn) -> None:
    program = (
        "import sys\nfrom nova_graph.__main__ import main\n"
        f"sys.argv = ['nova-graph', *{WORDS!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'ultralytics', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=drawn.command.folder,
        env={**drawn.command.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    path, heavy = done.stdout.splitlines()
    assert (drawn.command.folder / path).read_bytes() == drawn.path.read_bytes()
    assert heavy == "[]"


def test_the_whole_graph_is_drawn_without_a_network(tmp_path: Path) -> None:
    """Also without HF_HUB_OFFLINE, which `make run` does not set."""
    program = (
        "import socket\n"
        "def trap(*args, **kwargs):\n    print('network', args)\n    raise OSError('there is no network')\n"
        "socket.getaddrinfo = socket.gethostbyname = socket.create_connection = trap\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = trap\n"
        "import sys\nfrom nova_graph.__main__ import main\n"
        f"sys.argv = ['nova-graph', *{WORDS!r}]\nmain()"
    )
    environ = {name: value for name, value in Command(tmp_path).environ.items() if name != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [f"outputs/{path.name}" for path in (tmp_path / "outputs").iterdir()]
    assert "9 ran, 0 cached" in done.stderr
    assert "network" not in done.stderr


def test_rerun_verify_says_equal(drawn: Drawn) -> None:
    told = drawn.command.call("rerun", str(drawn.path), "--verify", timeout=280).stdout
    assert told.startswith("equal: the same pixels")


def test_rerun_finds_the_results_of_the_first_run(drawn: Drawn) -> None:
    told = events(drawn.command.call("rerun", str(drawn.path), "--json").stdout)
    assert told[-1]["ran"] == 0
    pictures = told[-1]["pictures"]
    assert isinstance(pictures, list)
    assert Path(pictures[0]["path"]).name.startswith("default-20")
