"""Nodes, graphs and pictures of other people: what they print, raise and hold does not mislead who runs them."""

from pathlib import Path

import pytest

from tests.nova_graph.command import Command, events


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def one(node: str) -> str:
    return f"nova: 1\nnodes: {{n: {node}}}\noutputs: {{n: $n.value}}\n"


def test_a_node_that_ends_the_program_is_a_failure(command: Command) -> None:
    graph = command.write(one("{type: Quit}"))
    told = command.call("run", graph, code=1)
    assert "the program was ended from inside by SystemExit: 0\n  A node" in told.stderr
    *_, done, error = events(command.call("run", graph, "--json", code=1).stdout)
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
