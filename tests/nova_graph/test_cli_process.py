"""The installed command, end to end, with nodes that need no model."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from tests.nodes.assets.server import serving, whole
from tests.nodes.assets.shop import weights
from tests.nova_graph.command import PAINTING, PROGRAM, ROOT, Command, events


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_a_run_saves_its_pictures_and_prints_only_their_paths(command: Command) -> None:
    done = command.call("run", command.write(PAINTING), "--seed", "7", "--grey=200", "--set", "out=2")
    paths = [command.folder / line for line in done.stdout.splitlines()]
    assert [path.parent for path in paths] == [command.folder / "outputs"] * 2
    assert [path.name.rpartition("-")[2] for path in paths] == ["seed7.png", "seed8.png"]
    assert all(path.name.startswith("graph-20") for path in paths)
    with Pillow.open(paths[0]) as picture:
        assert picture.convert("RGB").getpixel((0, 0)) == (200, 200, 200)
    assert "seed: 7" in done.stderr
    assert "2 ran, 0 cached" in done.stderr


def test_pictures_go_where_they_are_asked_to(command: Command) -> None:
    done = command.call("run", command.write(PAINTING), "--seed", "7", "--out", "album/2026")
    (path,) = (command.folder / line for line in done.stdout.splitlines())
    assert path.parent == command.folder / "album" / "2026"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert not (command.folder / "outputs").exists()


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_run_says_where_its_weights_come_from(command: Command, words: list[str]) -> None:
    graph = command.write("nova: 1\nnodes:\n  n: {type: Named}\noutputs: {n: $n.value}\n")
    with serving(whole(weights())) as server:
        address = server.address()
        told = [
            subprocess.run(
                [PROGRAM, "run", graph, *words],
                cwd=command.folder,
                env={**command.environ, "CHECKPOINT_URL": address, "NO_PROXY": "*"},
                capture_output=True,
                text=True,
                check=True,
            ).stderr
            for _ in range(2)
        ]
    cached = command.folder / "cache" / "checkpoint" / "anime.safetensors"
    assert f"checkpoint: CHECKPOINT_URL: {address}\n" in told[0]
    assert f"checkpoint: cache: {cached}, downloaded from {address}\n" in told[1]


def test_a_second_run_is_a_full_hit_and_overwrites_nothing(command: Command) -> None:
    graph = command.write(PAINTING)
    first = command.call("run", graph, "--seed", "7").stdout
    again = command.call("run", graph, "--seed", "7", "--json").stdout
    *_, done = events(again)
    assert (done["ran"], done["cached"]) == (0, 2)
    assert [each["event"] for each in events(again)] == ["planned", "cached", "cached", "done"]
    pictures = done["pictures"]
    assert isinstance(pictures, list)
    assert pictures[0]["path"] != first.strip()
    one, other = (command.folder / path for path in (first.strip(), pictures[0]["path"]))
    assert one.read_bytes() == other.read_bytes()


def test_json_tells_every_step_and_carries_previews_if_asked(command: Command) -> None:
    graph = command.write("nova: 1\nnodes: {w: {type: Wait, inputs: {steps: 3}}}\noutputs: {n: $w.value}\n")
    told = events(command.call("run", graph, "--json", "--previews", "--no-cache").stdout)
    assert [each["event"] for each in told] == ["planned", "started", *["progress"] * 3, "finished", "done"]
    assert told[2] == {**told[2], "node": "w", "type": "Wait", "step": 1, "total": 3, "preview": "c21hbGw="}
    assert told[-1]["pictures"] == []


def test_a_reader_that_goes_away_ends_the_run_quietly(command: Command) -> None:
    nodes = "\n".join(f"  w{i}: {{type: Wait, inputs: {{steps: {500 + i}}}}}" for i in range(4))
    outputs = ", ".join(f"n{i}: $w{i}.value" for i in range(4))
    graph = command.write(f"nova: 1\nnodes:\n{nodes}\noutputs: {{{outputs}}}\n")
    process = command.begin("run", graph, "--json", "--no-cache")
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["event"] == "planned"
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == ""
    assert process.wait() == 1


def test_ctrl_c_while_the_program_still_loads_is_quiet(command: Command) -> None:
    """The interrupt comes when the command line is imported, whatever the machine's speed."""
    program = """
import os, signal, sys

class Press:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Press())
from nova_graph.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=command.environ, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_rerun_verify_takes_no_option_that_it_would_ignore(command: Command) -> None:
    picture = command.call("run", command.write(PAINTING), "--seed", "7").stdout.strip()
    for words in (["--json"], ["--no-cache"], ["--out", "there"]):
        done = command.call("rerun", picture, "--verify", *words, code=2)
        assert f"leave {words[0]} out" in done.stderr
    assert not (command.folder / "there").exists()


def test_rerun_help_lists_the_inputs_of_the_picture(command: Command) -> None:
    picture = command.call("run", command.write(PAINTING), "--seed", "7").stdout.strip()
    shown = command.call("rerun", picture, "--help").stdout
    assert "--grey INTEGER" in shown
    assert "How light." in shown
    assert "A grey picture." in shown


def told_into(stdout: TextIO, command: Command, words: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run the program with another standard output."""
    return subprocess.run(
        [PROGRAM, *words],
        cwd=command.folder,
        env=command.environ,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize(
    "words",
    [["run", "graph.yaml", "--json"], ["plan", "graph.yaml"], ["nodes"], ["schema"], ["--help"], ["run", "--help"]],
)
def test_a_full_disk_is_one_line(command: Command, words: list[str]) -> None:
    command.write(PAINTING)
    with Path("/dev/full").open("w") as full:
        done = told_into(full, command, words)
    assert done.stderr == "the output cannot be written: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize("words", [["nodes", "Paint"], ["plan", "graph.yaml"], ["nodes"], ["schema"]])
def test_a_reader_that_has_gone_is_no_news(command: Command, words: list[str]) -> None:
    command.write(PAINTING)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody:
        done = told_into(nobody, command, words)
    assert (done.stderr, done.returncode) == ("", 1)


def test_a_working_directory_that_is_gone_is_told(command: Command) -> None:
    graph = command.folder / command.write(PAINTING)
    (command.folder / "gone").mkdir()
    shell = 'cd gone && rmdir ../gone && exec "$0" check "$1"'
    done = subprocess.run(
        ["/bin/sh", "-c", shell, PROGRAM, graph],
        cwd=command.folder,
        env=command.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    gone = "the working directory is gone: it was deleted or moved\n  Change to another one with cd.\n"
    assert (done.stdout, done.stderr, done.returncode) == ("", gone, 2)


def test_a_plan_says_why(command: Command) -> None:
    graph = command.write(PAINTING)
    assert command.call("plan", graph, "--seed", "7").stdout.count("never run before") == 2
    command.call("run", graph, "--seed", "7")
    again = command.call("plan", graph, "--seed", "7").stdout
    assert "cached (disk)" in again
    assert "0 nodes to run of 2" in again
    changed = command.call("plan", graph, "--seed", "7", "--grey", "9").stdout
    assert "paint changed upstream" in changed
    assert "grey" in changed
    assert "2 nodes to run of 2" in changed


def test_a_plan_says_that_weights_were_replaced_under_their_name(command: Command) -> None:
    graph = command.write(
        "nova: 1\nnodes:\n  n: {type: Named, inputs: {weights: mine.safetensors}}\noutputs: {n: $n.value}\n"
    )
    (command.folder / "mine.safetensors").write_bytes(weights(b"one"))
    command.call("run", graph)
    assert "0 nodes to run of 1" in command.call("plan", graph).stdout
    (command.folder / "mine.safetensors").write_bytes(weights(b"two"))
    told = command.call("plan", graph).stdout
    assert "weights changed" in told
    assert "1 node to run of 1" in told


def test_check_shows_every_mistake_with_its_place(command: Command) -> None:
    graph = command.write(
        "nova: 1\nnodes:\n  a: {type: Pluss}\n  b: {type: Plus, inputs: {left: 1, right: 101}}\noutputs: {n: $b.valu}\n"
    )
    told = command.call("check", graph, code=2).stderr
    for place in ("graph.yaml:3:13", "graph.yaml:4:44", "graph.yaml:5:14"):
        assert place in told
    assert "3 errors. Nothing was run." in told
    assert not (command.folder / "cache" / "results").exists()


def test_check_is_content_with_a_good_graph(command: Command) -> None:
    assert command.call("check", command.write(PAINTING)).stdout == "graph.yaml: 2 nodes, no errors\n"


def test_the_list_of_commands_says_whole_sentences(command: Command) -> None:
    for words in (["help"], ["cache", "--help"], ["models", "--help"]):
        listed = command.call(*words).stdout.partition("Commands:\n")[2].rstrip().splitlines()
        assert listed
        assert [line for line in listed if not line.endswith(".") or "..." in line] == []


def test_a_fault_of_a_node_is_told_with_how_to_see_where(command: Command) -> None:
    text = "nova: 1\nnodes: {n: {type: Break, inputs: {left: 1}}}\noutputs: {n: $n.value}\n"
    done = command.call("run", command.write(text), code=1)
    assert done.stderr.endswith("\n  Run it again with --traceback, or NOVA_DEBUG=1, to see where.\n")
    refused = command.call("run", command.write(text.replace("left: 1", "left: 1, refuse: true")), code=3)
    assert "--traceback" not in refused.stderr


def test_check_sees_what_a_switched_off_node_leaves_open(command: Command) -> None:
    text = """\
nova: 1
inputs: {on: {type: boolean, default: false}}
nodes:
  one: {type: Plus, when: $inputs.on, inputs: {left: 1, right: 1}}
  two: {type: Plus, inputs: {left: $one.value, right: 1}}
outputs: {n: $two.value}
"""
    graph = command.write(text)
    assert "two.left needs integer, but one is switched off" in command.call("check", graph, code=2).stderr
    assert command.call("check", graph, "--on").stdout == "graph.yaml: 2 nodes, no errors\n"
    needs = command.write(text.replace("boolean, default: false", "boolean"))
    assert command.call("check", needs).stdout == "graph.yaml: 2 nodes, no errors\n", "who knows which"
    assert "one is switched off" in command.call("check", needs, "--no-on", code=2).stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "nowhere.yaml"], 2, "there is no graph file nowhere.yaml"),
        (["run", "grap.yaml"], 2, "did you mean graph.yaml?"),
        (["run", "graph.yaml", "--gray", "1"], 2, "no input for --gray; did you mean --grey?"),
        (["run", "graph.yaml", "--jsn"], 2, "no input for --jsn; did you mean --json?"),
        (["plan", "graph.yaml", "--devise=cpu"], 2, "no input for --devise; did you mean --device?"),
        (["run", "graph.yaml", "--grey", "999"], 2, "--grey must be at most 255, got 999"),
        (["check", "graph.yaml", "--grid"], 2, "--grid is an option of `nova-graph run` and `nova-graph submit` only"),
        (["run", "--grey", "9", "graph.yaml"], 2, "--grey is not expected here"),
        (["run", "graph.yaml", "--out", "graph.yaml"], 2, "cannot be written to graph.yaml"),
        (["run", "graph.yaml", "--set", "grey=1", "--grey", "2"], 2, "grey is given twice: as --grey and with --set"),
        (["check", "/dev/null"], 2, "/dev/null is no plain file"),
        (["nodes", "Plu"], 2, "there is no node type Plu; did you mean Plus?"),
        (["rerun", "graph.yaml"], 2, "graph.yaml is a graph file, no picture\n  `nova-graph run graph.yaml` draws it."),
        (["rerun", "graphs"], 2, "graphs is a folder\n  Name a picture in it."),
        (["import", "graph.yaml"], 3, "`nova-graph run graph.yaml` runs a graph file as it is."),
        (
            ["import", "graph.yaml", "graphs", "--force"],
            2,
            "graphs is a folder\n  Name a file in it: graphs/graph.yaml.",
        ),
        (["import", "graph.yaml", "gone/x.yaml"], 2, "there is no folder gone\n  Make it first."),
        (
            ["models", "add", "x", "graph.yaml", "--kind", "Lora"],
            2,
            "--kind Lora is no kind of weights\n  Did you mean lora?",
        ),
        (["models", "add", "graph.yaml", "x"], 3, "There is no file "),
        (["models", "add", "a/b", "gone"], 3, "a name begins with a letter or digit"),
        (["rerun", "nowhere.png"], 2, "nowhere.png cannot be read"),
        (["check", "."], 2, ". is a folder\n  Name a graph file in it: graph.yaml."),
        (["check", "cache"], 2, "cache is a folder\n  Name a graph file in it.\n"),
        (["check", "other"], 2, "there is no graph file other; did you mean graphs/other.yaml?"),
        (["run", "graph.yaml", "--previews"], 2, "--previews are pictures in the events of --json"),
        (
            ["plan", "graph.yaml", "--device", "xyz"],
            2,
            "--device is 'xyz'\n  --device is one of cpu, cuda, mps, or left",
        ),
        (["run", "grahps/other.yaml"], 2, "there is no graph file grahps/other.yaml; there is no folder grahps"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_mistakes_are_one_message_and_an_exit_code(command: Command, words: list[str], code: int, message: str) -> None:
    command.write(PAINTING)
    (command.folder / "cache").mkdir()
    (command.folder / "graphs").mkdir()
    command.write(PAINTING, "graphs/other.yaml")
    done = command.call(*words, code=code)
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("node", "code", "message"),
    [
        ("{type: Break, inputs: {left: 1}}", 1, "3:3: n (Break) failed: ZeroDivisionError: integer division"),
        (
            "{type: Break, inputs: {left: 1, refuse: true}}",
            3,
            "3:3: n (Break) failed: the weights are no weights\n  Get",
        ),
        (
            "{type: Named, inputs: {weights: /nowhere.safetensors}}",
            3,
            "3:38: n.weights: There is no checkpoint '/nowhere",
        ),
    ],
)
def test_failures_have_their_place_and_exit_code(command: Command, node: str, code: int, message: str) -> None:
    graph = command.write(f"nova: 1\nnodes:\n  n: {node}\noutputs: {{n: $n.value}}\n")
    assert f"graph.yaml:{message}" in command.call("run", graph, code=code).stderr
    *earlier, last = events(command.call("run", graph, "--json", code=code).stdout)
    assert (last["event"], last["exit"]) == ("error", code)
    failed = [(each["node"], each["type"], each["error"]) for each in earlier if each["event"] == "failed"]
    assert failed == ([("n", "Break", last["error"])] if "Break" in node else [])


def test_traceback_shows_where_an_error_came_from(command: Command) -> None:
    graph = command.write("nova: 1\nnodes: {n: {type: Break, inputs: {left: 1}}}\noutputs: {n: $n.value}\n")
    process = command.begin("run", graph, "--traceback")
    _, told = process.communicate(timeout=60)
    assert "Traceback" in told
    assert "drill.py" in told


def test_ctrl_c_stops_between_steps_and_keeps_what_was_done(command: Command) -> None:
    graph = command.write(
        "nova: 1\nnodes:\n  a: {type: Plus, inputs: {left: 1}}\n"
        "  w: {type: Wait, inputs: {steps: 100000}}\noutputs: {a: $a.value, w: $w.value}\n"
    )
    process = command.begin("run", graph, "--json")
    assert process.stdout is not None
    for line in process.stdout:
        if '"progress"' in line:
            break
    process.send_signal(signal.SIGINT)
    told, warned = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping after this step" in warned
    *_, done, error = events(told)
    assert (done["event"], done["outcome"]) == ("done", "cancelled")
    assert error["exit"] == 130
    assert "cached (disk)" in command.call("plan", graph).stdout


def test_a_second_ctrl_c_ends_at_once(command: Command) -> None:
    graph = command.write(
        "nova: 1\nnodes: {w: {type: Wait, inputs: {steps: 100000, stubborn: true}}}\noutputs: {w: $w.value}\n"
    )
    process = command.begin("run", graph)
    assert process.stderr is not None
    for line in process.stderr:
        if "started" in line:
            process.send_signal(signal.SIGINT)
        if "Stopping" in line:
            process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT


def test_help_lists_the_inputs_of_the_graph(command: Command) -> None:
    told = command.call("run", command.write(PAINTING), "--help").stdout
    assert "A grey picture." in told
    assert "--grey INTEGER" in told
    assert "How light." in told
    assert "0 to 255; default: 7" in told
    assert "--out DIR" in told


def test_help_of_a_command_is_shown_either_way(command: Command) -> None:
    graph = command.write(PAINTING)
    for words in (["run"], ["run", graph], ["cache", "clear"], []):
        assert command.call("help", *words).stdout == command.call(*words, "--help").stdout
    assert "No such command 'rnu'. Did you mean 'run'?" in command.call("help", "rnu", code=2).stderr


def test_help_speaks_of_no_types_of_python(command: Command) -> None:
    for words in (["run"], ["check"], ["plan"], ["show"], ["rerun"], ["submit"], ["serve"]):
        told = command.call(*words, "--help").stdout
        assert told.startswith(f"Usage: nova-graph {words[0]} [OPTIONS]")
        assert re.search("<[a-z]", told) is None


def test_the_cache_can_be_looked_at_checked_and_cleared(command: Command) -> None:
    command.call("run", command.write(PAINTING), "--seed", "7")
    assert "2 results" in command.call("cache", "size").stdout
    assert "Serializer" in command.call("cache", "list").stdout
    assert "2 results, all whole" in command.call("cache", "verify").stdout
    damaged = next((command.folder / "cache" / "results").rglob("*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert "1 damaged" in command.call("cache", "verify", code=1).stdout
    assert "2 results deleted" in command.call("cache", "clear").stdout
    assert "0 results" in command.call("cache", "size").stdout


def test_models_lists_and_notes_what_is_there(command: Command) -> None:
    assert "nova-nano" in command.call("models").stdout
    assert command.call("models", "list").stdout == command.call("models").stdout
    assert command.call("models", "verify").stdout.startswith("there are no names in /")
    nano = next((ROOT / "nodes").rglob("nova-nano.safetensors"))
    assert "tiny (checkpoint) is in" in command.call("models", "add", "tiny", str(nano)).stdout
    verified = command.call("models", "verify")
    assert "tiny" in verified.stdout
    assert verified.stderr == ""
    assert "It has 'tiny'." in command.call("models", "remove", "tinny", code=3).stderr
    assert "no longer" in command.call("models", "remove", "tiny").stdout
    assert "gone.safetensors" in command.call("models", "add", "x", "gone.safetensors", code=3).stderr


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["check", "graph.yaml"], ["plan", "graph.yaml"], ["nodes"], ["schema"]]
)
def test_nothing_heavy_is_imported_before_a_run(command: Command, words: list[str]) -> None:
    command.write(PAINTING)
    program = (
        "import sys\nfrom nova_graph.__main__ import main\n"
        f"sys.argv = ['nova-graph', *{words!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'modal', 'numpy', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=command.folder,
        env={**command.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_show_draws_a_graph_that_still_lacks_inputs(command: Command) -> None:
    graph = command.write(
        "nova: 1\ninputs: {file: {type: string}, seed: {type: seed, default: random}}\n"
        "nodes:\n  l: {type: LoadImage, inputs: {picture: $inputs.file}}\n"
        "  p: {type: Paint, inputs: {seed: $inputs.seed}}\noutputs: {a: $l.image, b: $p.image}\n"
    )
    assert command.call("show", graph).stdout.startswith("flowchart LR\n")
    assert command.call("show", graph, "--out", "graph.svg").stdout == "graph.svg\n"
    drawn = (command.folder / "graph.svg").read_text()
    assert "picture &lt;file&gt;" in drawn
    assert "seed random" in drawn
    assert "seed 5" in command.call("show", graph, "--svg", "--seed", "5").stdout


def test_schema_is_that_of_graphs_or_of_one_graph(command: Command) -> None:
    assert "Plus" in json.loads(command.call("schema").stdout)["$defs"]
    inputs = json.loads(command.call("schema", command.write(PAINTING)).stdout)
    assert inputs["properties"]["grey"] == {
        "type": "integer",
        "default": 7,
        "description": "How light.",
        "minimum": 0,
        "maximum": 255,
    }


def test_rerun_needs_only_the_picture(command: Command) -> None:
    path = command.call("run", command.write(PAINTING), "--seed", "7", "--grey", "9").stdout.strip()
    (command.folder / "graph.yaml").unlink()
    again = command.call("rerun", path).stdout.strip()
    assert (command.folder / again).read_bytes() == (command.folder / path).read_bytes()
    assert command.call("rerun", path, "--verify").stdout.startswith("equal: the same pixels")
    changed = command.call("rerun", path, "--grey", "200").stdout.strip()
    with Pillow.open(command.folder / changed) as picture:
        assert picture.convert("RGB").getpixel((0, 0)) == (200, 200, 200)
    assert "takes no inputs" in command.call("rerun", path, "--verify", "--grey", "1", code=2).stderr


def test_rerun_verify_says_how_far_apart_pixels_are(command: Command) -> None:
    record = {
        "program": "nova-graph 0.0.1",
        "graph": {
            "nova": 1,
            "nodes": {
                "paint": {"type": "Paint", "inputs": {"grey": 10}},
                "png": {"type": "Serializer", "inputs": {"image": "$paint.image"}},
            },
            "outputs": {"file": "$png.file"},
        },
        "inputs": {},
        "assets": [],
        "environment": "abacus|float8",
        "key": "",
        "pixels": "0" * 64,
        "width": 16,
        "height": 8,
        "index": 0,
        "seeds": [0],
    }
    info = PngInfo()
    info.add_text("nova_graph", json.dumps(record))
    Pillow.new("RGB", (16, 8), (13, 13, 13)).save(command.folder / "old.png", pnginfo=info)
    told = command.call("rerun", "old.png", "--verify", code=1).stdout
    assert "different" in told
    assert "mean difference 3.000 of 255" in told
    assert "environment then: abacus, float8" in told


def test_a_picture_may_not_include_files(command: Command) -> None:
    path = command.call("run", command.write(PAINTING), "--seed", "7").stdout.strip()
    with Pillow.open(command.folder / path) as picture:
        record = json.loads(picture.info["nova_graph"])
        record["graph"]["nodes"]["paint"] = {"graph": "graph.yaml"}
        info = PngInfo()
        info.add_text("nova_graph", json.dumps(record))
        picture.save(command.folder / "bad.png", pnginfo=info)
    assert "includes other files" in command.call("rerun", "bad.png", code=3).stderr
