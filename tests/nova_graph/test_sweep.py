"""`nova-graph run --sweep`: a run for each combination, with the installed command and nodes that need no model."""

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from engine.words import Words
from nodes.pictures.batches import Picture
from nodes.pictures.encode import encode_picture
from nova_graph.cli.contact_sheet import GAP, LEAST_EDGE, PAPER, contact_sheet
from nova_graph.cli.exits import UsageError
from nova_graph.cli.sweeping import MOST, Axis, Sweep, read_sweep
from tests.nodes.assets.shop import weights
from tests.nova_graph.command import PAINTING, Command
from tests.nova_graph.test_cli_reading import sparse_weights

INPUTS: dict[str, Words] = {
    "cfg": {"type": "number", "minimum": 1},
    "prompt": {"type": "string"},
    "clip_skip": {"type": "integer"},
    "seed": {"type": "seed"},
}
BREAKING = """\
nova: 1
inputs: {right: {type: integer, maximum: 100}}
nodes:
  sum: {type: Plus, inputs: {left: 1, right: $inputs.right}}
  fault: {type: Break, when: $inputs.right == 2, inputs: {left: 1}, else: {value: $sum.value}}
outputs: {sum: $fault.value}
"""
NAMING = """\
nova: 1
inputs: {weights: {type: string}}
nodes: {n: {type: Named, inputs: {weights: $inputs.weights}}}
outputs: {sum: $n.value}
"""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def colours(paths: list[Path]) -> list[object]:
    found: list[object] = []
    for path in paths:
        with Pillow.open(path) as picture:
            found.append(picture.convert("L").getpixel((0, 0)))
    return found


def test_every_combination_is_drawn_with_one_seed_and_shown_in_a_grid(command: Command) -> None:
    graph = command.write(PAINTING)
    done = command.call("run", graph, "--sweep", "grey=10,200", "--sweep", "out=1,2,3", "--grid")
    *paths, grid = [command.folder / line for line in done.stdout.splitlines()]
    assert colours(paths) == [10] * 6 + [200] * 6
    seeds = [int(path.stem.rpartition("seed")[2].partition("-")[0]) for path in paths]
    assert set(seeds) == {seeds[0], seeds[0] + 1, seeds[0] + 2}, "a drawn seed is drawn once for all runs"
    assert "4 of 6: grey=200, out=1" in done.stderr
    assert "6 runs, 0 failed" in done.stderr
    assert grid.name.startswith("graph-grid-20")
    with Pillow.open(grid) as sheet, Pillow.open(paths[0]) as one:
        assert sheet.width == GAP + 3 * (max(one.width, LEAST_EDGE) + GAP), "the first goes down, the last right"
        values = {value for _, value in sheet.convert("L").getcolors(1 << 24) or ()}
        assert {10, 200} <= values


def test_a_mistake_in_any_run_is_found_before_the_first(command: Command) -> None:
    graph = command.write(PAINTING)
    told = command.call("run", graph, "--sweep", "grey=1,2,red", code=2)
    assert '--sweep grey must be an integer, got "red"' in told.stderr
    bound = command.call("run", command.write(BREAKING, "b.yaml"), "--sweep", "right=1,101", code=2)
    assert "at most 100" in bound.stderr
    assert not (command.folder / "outputs").exists()


def test_a_file_that_is_not_there_is_found_before_the_first_run(command: Command) -> None:
    sparse_weights(command.folder / "here.safetensors")
    graph = command.write(NAMING)
    told = command.call("run", graph, "--sweep", "weights=here.safetensors,nowhere.safetensors", code=3).stderr
    assert "There is no checkpoint 'nowhere.safetensors'" in told
    assert "1 of 2" not in told


def test_the_weights_and_the_seed_of_all_runs_are_told_once(command: Command) -> None:
    told = command.call("run", command.write(PAINTING), "--sweep", "grey = 1", "--seed", "7").stderr.splitlines()
    assert told[:2] == ["seed: 7", "1 of 1: grey=1"]
    assert told[-1] == "1 run, 0 failed"
    swept = command.call("run", "graph.yaml", "--grey", "1", "--sweep", "seed=7,8").stderr.splitlines()
    assert swept[0] == "1 of 2: seed=7"
    sparse_weights(command.folder / "here.safetensors")
    graph = command.write(NAMING, "naming.yaml")
    named = command.call("run", graph, "--sweep", "weights=here.safetensors,./here.safetensors").stderr
    assert named.count("checkpoint: ") == 1, named


def test_a_run_that_fails_spoils_no_other(command: Command) -> None:
    done = command.call("run", command.write(BREAKING), "--sweep", "right=1,2,3", code=1)
    assert "2 of 3 failed: " in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "3 of 3: right=3" in done.stderr
    assert "3 runs, 1 failed" in done.stderr


def test_a_failure_in_a_sweep_does_not_steer_the_terminal(command: Command) -> None:
    text = r'{type: Break, inputs: {left: $inputs.left, text: "\e]0;title\a"}}'
    graph = f"nova: 1\ninputs: {{left: {{type: integer}}}}\nnodes: {{n: {text}}}\noutputs: {{n: $n.value}}\n"
    told = command.call("run", command.write(graph), "--sweep", "left=1,2", code=1).stderr
    assert told.count("ValueError: <U+001B>]0;title<U+0007>") == 2
    assert "\x1b" not in told


def test_where_weights_come_from_is_told_once_in_a_sweep(command: Command) -> None:
    text = "nova: 1\ninputs: {weights: {type: string, default: auto}, left: {type: integer}}\nnodes:\n"
    text += "  n: {type: Named, inputs: {weights: $inputs.weights}}\n  m: {type: Plus, inputs: {left: $inputs.left}}\n"
    graph = command.write(text + "outputs: {n: $n.value, m: $m.value}\n")
    told = command.call("run", graph, "--sweep", "left=1,2").stderr.splitlines()
    assert sum(line.startswith("checkpoint: embedded nova-nano, ") for line in told) == 1
    (command.folder / "mine.safetensors").write_bytes(weights())
    told = command.call("run", graph, "--sweep", "weights=auto,mine.safetensors", "--left", "1").stderr.splitlines()
    assert [line.split()[1] for line in told if line.startswith("checkpoint: ")] == ["embedded", "path"]


def test_ctrl_c_ends_the_sweep_and_says_what_is_left(command: Command) -> None:
    text = "nova: 1\ninputs: {n: {type: integer}}\nnodes: {w: {type: Wait, inputs: {steps: $inputs.n}}}\n"
    graph = command.write(f"{text}outputs: {{n: $w.value}}\n")
    process = command.begin("run", graph, "--sweep", "n=1,20000,20001")
    assert process.stderr is not None
    for sign in ("2 of 3", "started"):
        assert any(sign in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "2 of 3 runs were not done" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid"], "--grid shows the pictures of a sweep"),
        (["--sweep", "grey=1,2", "--json"], "--json tells of one run"),
        (["--sweep", "gray=1,2"], "the graph has no input gray; did you mean --grey?"),
        (["--sweep", "grey"], "write it as name=a,b,..."),
        (["--sweep", "grey=1,", "2"], "--sweep grey: a value is missing Values have no spaces between them, or"),
        (["--sweep", "=1,2"], "write it as name=a,b,..."),
        (["--sweep", "grey=1", "--sweep", "grey=2"], "grey is swept twice"),
        (["--sweep", "grey=1,2", "--grey", "3"], "grey is given twice: a value, and with --sweep"),
        (["--sweep", "grey=1,2", "--set", "grey=3"], "grey is given twice: a value, and with --sweep"),
    ],
)
def test_what_makes_no_sweep_is_told(command: Command, words: list[str], message: str) -> None:
    done = command.call("run", command.write(PAINTING), *words, code=2)
    assert message in " ".join((done.stderr + done.stdout).split())


def test_values_with_commas_are_parted_by_bars() -> None:
    (axis,) = read_sweep(["prompt=1girl, smile | 1girl, sad"], INPUTS).axes
    assert axis.values == ("1girl, smile", "1girl, sad")
    assert read_sweep(["clip-skip=1,2"], INPUTS).axes[0].name == "clip_skip"


def test_a_sweep_has_an_end() -> None:
    long = ",".join(map(str, range(1, 102)))
    with pytest.raises(UsageError, match=f"more than {MOST:,} runs"):
        read_sweep([f"cfg={long}", f"seed={long}", f"clip_skip={long}"], INPUTS)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_runs_and_labels_go_together(sizes: list[int]) -> None:
    axes = tuple(
        Axis(f"i{place}", tuple(map(str, range(size))), tuple(range(size))) for place, size in enumerate(sizes)
    )
    sweep = Sweep(axes)
    told = [tuple(f"{name}={value}" for name, value in inputs.items()) for inputs in sweep.inputs]
    assert told == sweep.labels
    assert len(set(told)) == len(told)


def plain(folder: Path, name: str, width: int, height: int, grey: int) -> Path:
    path = folder / name
    path.write_bytes(encode_picture(Picture(width, height, bytes([grey]) * (width * height * 3)), "png", 0, {}))
    return path


def test_a_sheet_has_room_for_the_largest_and_leaves_out_what_is_not_there(tmp_path: Path) -> None:
    sweep = Sweep((Axis("size", ("1", "2", "3"), (1, 2, 3)),))
    pictures = [plain(tmp_path, "a.png", 64, 64, 90), None, plain(tmp_path, "b.png", 96, 48, 150)]
    file = contact_sheet(sweep, pictures)
    (tmp_path / "sheet.png").write_bytes(file.data)
    with Pillow.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (file.width, file.height)
        assert sheet.width == GAP + 2 * (96 + GAP)
        counts = {colour: count for count, colour in sheet.convert("RGB").getcolors(1 << 24) or ()}
    assert counts[90, 90, 90] == 64 * 64
    assert counts[150, 150, 150] == 96 * 48
    assert counts[PAPER] > 96 * 64


def test_a_label_of_several_lines_keeps_to_its_own(tmp_path: Path) -> None:
    pictures = [plain(tmp_path, "a.png", 400, 64, 90)]
    sheets = [
        contact_sheet(Sweep((Axis("prompt", (text,), (text,)), Axis("cfg", ("4",), (4,)))), pictures)
        for text in ("1girl,\nsmile", "1girl, smile")
    ]
    assert sheets[0].pixel_sha256 == sheets[1].pixel_sha256


def test_a_sheet_of_many_pixels_is_made_smaller(tmp_path: Path) -> None:
    sweep = Sweep((Axis("size", ("1", "2"), (1, 2)), Axis("text", ("x" * 10_000,), ("x",))))
    pictures: list[Path | None] = [plain(tmp_path, name, 200, 200, 90) for name in ("a.png", "b.png")]
    file = contact_sheet(sweep, pictures, most_pixels=20_000)
    assert file.width == GAP + 100 + GAP
