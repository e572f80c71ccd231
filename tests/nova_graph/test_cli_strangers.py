"""Nodes, graphs and pictures of other people: what they print, raise and hold does not mislead who runs them."""

import json
from pathlib import Path

import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from tests.nova_graph.command import PAINTING, Command, events

RED = "\x1b[31mred\x9b0m\u202etxt"
SHOWN = "<U+001B>[31mred<U+009B>0m<U+202E>txt"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def one(node: str) -> str:
    return f"nova: 1\nnodes: {{n: {node}}}\noutputs: {{n: $n.value}}\n"


def test_a_node_that_ends_the_program_is_a_failure(command: Command) -> None:
    graph = command.write(one("{type: Quit}"))
    told = command.call("run", graph, code=1)
    assert "n (Quit) failed: SystemExit: 0" in told.stderr
    *_, failed, done, error = events(command.call("run", graph, "--json", code=1).stdout)
    assert (failed["event"], failed["node"]) == ("failed", "n")
    assert (done["event"], done["outcome"]) == ("done", "failed")
    assert (error["event"], error["exit"]) == ("error", 1)
    assert "SystemExit: 0" in str(error["error"])


def test_what_a_node_prints_is_not_taken_for_the_command_s_own_words(command: Command) -> None:
    graph = command.write(one("{type: Chatter, inputs: {text: hello}}"))
    told = command.call("run", graph, "--no-cache")
    assert told.stdout == "n: 1\n"
    assert "hello\n" in told.stderr
    told = command.call("run", graph, "--no-cache", "--json")
    assert [each["event"] for each in events(told.stdout)] == ["planned", "started", "warned", "finished", "done"]


def test_texts_do_not_steer_the_terminal(command: Command) -> None:
    graph = command.write(
        "nova: 1\ndescription: TEXT\ninputs: {text: {type: string, default: TEXT, description: TEXT}}\n"
        "nodes: {n: {type: Chatter, inputs: {text: $inputs.text}}}\noutputs: {n: $n.value}\n".replace(
            "TEXT", json.dumps(RED)
        )
    )
    shown = command.call("run", graph, "--help").stdout
    assert shown.count(SHOWN) == 3
    assert "\x1b" not in shown
    assert f"warns: {SHOWN}\n" in command.call("run", graph).stderr


def test_a_forged_record_does_not_steer_the_terminal(command: Command) -> None:
    picture = forged(command, environment=RED, pixels=RED)
    told = command.call("rerun", picture, "--verify", code=1).stdout
    assert f"environment then: {SHOWN}\n" in told
    assert "\x1b" not in told


def test_rerun_says_where_the_weights_are_not_those_of_the_picture(command: Command) -> None:
    picture = forged(
        command,
        graph={"nova": 1, "nodes": {"n": {"type": "Named"}}, "outputs": {"n": "$n.value"}},
        assets=[{"node": "n", "port": "weights", "kind": "checkpoint", "name": "auto", "sha256": "0" * 64}],
    )
    told = command.call("rerun", picture)
    assert "not what the picture was made with: checkpoint auto: sha256 then 0000000000000000, now " in told.stderr
    assert told.stdout == "n: 64\n"


def forged(command: Command, **changes: object) -> str:
    """Make a picture whose record says what no run said."""
    path = command.call("run", command.write(PAINTING), "--seed", "7").stdout.strip()
    with Pillow.open(command.folder / path) as picture:
        record = json.loads(picture.info["nova_graph"])
        info = PngInfo()
        info.add_text("nova_graph", json.dumps({**record, **changes}))
        picture.save(command.folder / "forged.png", pnginfo=info)
    return "forged.png"
