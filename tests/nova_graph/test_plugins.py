"""Node types of other people: folders, installed packages, and what can be wrong with them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import RegistryError, SettingError
from nova_graph.options import Options, read_options
from nova_graph.plugins import all_nodes, nodes_in_folder

SHOUT = '''
from engine import Context, Node, Output


class Shouted(Output):
    text: str


class {name}(Node[Shouted]):
    """Make a prompt louder."""

    text: str

    def run(self, ctx: Context) -> Shouted:
        return Shouted(text=self.text.upper())
'''


def test_nodes_of_a_folder_join_the_registry(tmp_path: Path) -> None:
    (tmp_path / "shout.py").write_text(SHOUT.format(name="Shout"))
    (tmp_path / "notes.txt").write_text("not a node")
    registry = all_nodes(Options(nodes=(tmp_path,)))
    assert registry["Shout"].summary == "Make a prompt louder."
    assert "Sampler" in registry


def test_a_name_that_is_taken_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SHOUT.format(name="Sampler"))
    with pytest.raises(
        RegistryError, match=r"two node types are called Sampler: nodes\.sampler\.Sampler and nova_nodes"
    ):
        all_nodes(Options(nodes=(tmp_path,)))


def test_a_file_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module")
    with pytest.raises(RegistryError, match=r"broken\.py cannot be imported: ModuleNotFoundError"):
        list(nodes_in_folder(tmp_path))


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="does not exist"):
        list(nodes_in_folder(tmp_path / "nowhere"))


def test_an_installed_package_announces_its_nodes(tmp_path: Path) -> None:
    """A distribution on the path, with metadata as pip writes it, is found in a new process."""
    (tmp_path / "loud_pack.py").write_text(SHOUT.format(name="LoudPack"))
    metadata = tmp_path / "loud_pack-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: loud-pack\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[nova_graph.nodes]\nloud = loud_pack\n")
    code = (
        "from nova_graph.plugins import all_nodes; from nova_graph.options import Options\n"
        "print('LoudPack' in all_nodes(Options()))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("500MB", 500 << 20), ("1.5 GiB", 3 << 29), ("8g", 8 << 30), ("", 1 << 30)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert read_options({"NOVA_MEMORY": text}).memory == size


def test_a_size_that_is_none_is_an_error() -> None:
    with pytest.raises(SettingError, match="NOVA_CACHE_LIMIT is not a size: 'lots'"):
        read_options({"NOVA_CACHE_LIMIT": "lots"})
