"""Folders and files that may not be written or read; the folder for pictures is looked at before anything is drawn."""

import os
from pathlib import Path

import pytest

from tests.nova_graph.command import PAINTING, Command


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told_before_anything_is_drawn(command: Command) -> None:
    (command.folder / "closed").mkdir(mode=0o500)
    told = command.call("run", command.write(PAINTING), "--out", "closed/deep", code=2).stderr
    assert "the pictures cannot be written to closed/deep" in told
    assert "started" not in told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("words", [["check"], ["run"], ["schema"], ["rerun"], ["import"]])
def test_a_file_that_may_not_be_read_is_told_by_its_name(command: Command, words: list[str]) -> None:
    (command.folder / "closed.png").write_text(PAINTING)
    (command.folder / "closed.png").chmod(0)
    told = command.call(*words, "closed.png", code=2).stderr
    assert told == "closed.png cannot be read: Permission denied\n"


def test_a_folder_that_cannot_be_one_is_told_before_anything_is_drawn(command: Command) -> None:
    told = command.call("run", command.write(PAINTING), "--out", "graph.yaml/deep", code=2).stderr
    assert "the pictures cannot be written to graph.yaml/deep: Not a directory\n  Name another folder" in told
    assert "started" not in told
    graph = command.write("nova: 1\nnodes: {n: {type: Plus, inputs: {left: 1}}}\noutputs: {n: $n.value}\n")
    assert command.call("run", graph, "--out", "graph.yaml").stdout == "n: 2\n"
