"""Where the command line prints: closed streams, and encodings that lack a letter."""

import subprocess
from pathlib import Path

import pytest

from tests.nova_graph.command import PAINTING, PROGRAM, Command


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def printed(command: Command, words: list[str | bytes], encoding: str) -> bytes:
    done = subprocess.run(
        [PROGRAM, *words],
        cwd=command.folder,
        env={**command.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def test_a_letter_that_the_encoding_lacks_is_printed_as_its_code(command: Command) -> None:
    graph = command.write(PAINTING, "gr\xe4ph \u2713.yaml")
    assert printed(command, ["check", graph], "ascii") == b"gr\\xe4ph \\u2713.yaml: 2 nodes, no errors\n"
    assert printed(command, ["check", graph], "utf-8") == f"{graph}: 2 nodes, no errors\n".encode()


def test_a_name_whose_bytes_are_no_text_is_printed_as_these_bytes(command: Command) -> None:
    name = b"b\xffd.yaml"
    try:
        (command.folder / "graph.yaml").write_text(PAINTING)
        (command.folder / "graph.yaml").rename(command.folder / name.decode(errors="surrogateescape"))
    except OSError:
        pytest.skip("this system has no such names")
    assert printed(command, ["check", name], "utf-8:strict") == name + b": 2 nodes, no errors\n"


@pytest.mark.parametrize("closed", [1, 2])
def test_a_stream_that_was_closed_ends_nothing(command: Command, closed: int) -> None:
    command.write(PAINTING)
    shell = f'exec "$0" run graph.yaml --seed 7 {closed}>&-'
    done = subprocess.run(
        ["/bin/sh", "-c", shell, PROGRAM], cwd=command.folder, env=command.environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list((command.folder / "outputs").iterdir())) == 1
    assert (done.stdout, done.stderr)[closed - 1] == b""
    assert (done.stdout, done.stderr)[2 - closed] != b""
