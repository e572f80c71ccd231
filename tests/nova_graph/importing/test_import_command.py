"""`nova-graph import` in a process of its own."""

import json
import sys
from pathlib import Path
from subprocess import run

import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from tests.nova_graph.command import Command
from tests.nova_graph.importing.workflows import node, page, plain


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_it_writes_a_graph_that_runs(command: Command) -> None:
    command.write(json.dumps(page()), "page.json")
    done = command.call("import", "page.json", "mine.yaml")
    assert done.stdout == "mine.yaml\n"
    assert "note: ComfyUI draws noise in another way" in done.stderr
    drawn = command.call("run", "mine.yaml", "--seed", "3", "--steps", "2")
    assert (command.folder / drawn.stdout.strip()).read_bytes().startswith(b"\x89PNG")


def test_it_prints_a_graph_and_writes_over_nothing(command: Command) -> None:
    command.write(json.dumps(plain()), "workflow.json")
    printed = command.call("import", "workflow.json").stdout
    assert printed.startswith("nova: 1\n")
    command.write("mine", "mine.yaml")
    assert "is there already" in command.call("import", "workflow.json", "mine.yaml", code=2).stderr
    assert (command.folder / "mine.yaml").read_text() == "mine"
    command.call("import", "workflow.json", "mine.yaml", "--force")
    assert (command.folder / "mine.yaml").read_text() == printed


def test_a_mistake_of_the_workflow_is_shown_in_the_graph(command: Command) -> None:
    workflow = plain()
    workflow["3"]["inputs"]["sampler_name"] = "dpm_fast"
    command.write(json.dumps(workflow), "workflow.json")
    done = command.call("import", "workflow.json", "mine.yaml", code=2)
    assert "mine.yaml:" in done.stderr
    assert "dpm_fast" in done.stderr
    assert "dpm_fast" in (command.folder / "mine.yaml").read_text()


def test_what_cannot_be_imported_is_told(command: Command) -> None:
    command.write(json.dumps({**plain(), "8": node("Mystery")}), "workflow.json")
    assert "Mystery (node 8)" in command.call("import", "workflow.json", code=2).stderr
    command.write("no picture", "x.png")
    assert "x.png is neither a ComfyUI workflow (JSON) nor a PNG" in command.call("import", "x.png", code=3).stderr
    assert ". is a folder" in command.call("import", ".", code=2).stderr
    assert "--models y is no folder" in command.call("import", "workflow.json", "--models", "y", code=2).stderr
    assert "there is no file y.png" in command.call("import", "y.png", code=2).stderr


def test_what_is_no_graph_but_could_be_imported_is_told_apart(command: Command) -> None:
    command.write(json.dumps(plain()), "workflow.json")
    told = command.call("run", "workflow.json", code=2).stderr
    assert told == (
        "workflow.json is a ComfyUI workflow, no graph file\n"
        "  `nova-graph import workflow.json my-graph.yaml` makes one of it.\n"
    )
    picture = Pillow.new("RGB", (8, 8))
    notes = PngInfo()
    notes.add_text("parameters", "1girl\nSteps: 20, Seed: 1")
    picture.save(command.folder / "old.png", pnginfo=notes)
    assert "old.png is a picture, no graph file" in command.call("check", "old.png", code=2).stderr
    assert "`nova-graph import` makes a graph of it" in command.call("rerun", "old.png", code=3).stderr


def test_it_loads_no_torch(command: Command) -> None:
    command.write(json.dumps(plain()), "workflow.json")
    words = "import sys; from nova_graph.__main__ import main\ntry: main()\nexcept SystemExit: pass\n"
    program = f"{words}assert 'torch' not in sys.modules"
    run(
        [sys.executable, "-c", program, "import", "workflow.json"],
        cwd=command.folder,
        env=command.environ,
        check=True,
        capture_output=True,
    )
