"""Node types of other people: folders, installed packages, and what can be wrong with them."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import Environment, Registry, bind, parse
from engine.errors import RegistryError, SettingError
from engine.keys import node_key
from nodes.assets import read_settings
from nodes.library import built_in
from nova_graph import load, local_runtime, run
from nova_graph.options import Options, read_options
from nova_graph.plugins import all_nodes, node_classes, nodes_in_folder

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


def test_a_file_that_ends_the_program_when_it_is_imported_is_named(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(RegistryError, match=r"script\.py cannot be imported: SystemExit: 0"):
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


SAY = """\
nova: 1
nodes: {say: {type: Shout, inputs: {text: hello}}}
outputs: {text: $say.text}
"""


def said(folder: Path, cache: Path, upper: str = "upper") -> tuple[object, list[str]]:
    """Run a node that a file in the folder declares, as a new process would; return its text and what ran."""
    folder.mkdir(exist_ok=True)
    (folder / "shout.py").write_text(SHOUT.format(name="Shout").replace("upper", upper))
    graph = cache.parent / "graph.yaml"
    graph.write_text(SAY)
    settings = read_settings({"NOVA_CACHE_DIR": str(cache), "NOVA_THREADS": "1"})
    with local_runtime(settings=settings, options=Options(nodes=(folder,))) as runtime:
        result = run(load(graph, runtime=runtime).plan())
    return result.outputs["text"], [step.id for step in result.plan.to_run]


def test_two_folders_with_a_node_of_one_name_share_no_result(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert said(tmp_path / "one", cache) == ("HELLO", ["say"])
    assert said(tmp_path / "two", cache, "title") == ("Hello", ["say"])
    assert said(tmp_path / "one", cache) == ("HELLO", [])
    assert said(tmp_path / "three", cache) == ("HELLO", [])


def test_an_edited_node_runs_again(tmp_path: Path) -> None:
    """Also where the new text is as long and as old in seconds, so that bytecode of the old text would look fresh."""
    cache, folder = tmp_path / "cache", tmp_path / "nodes"
    assert said(folder, cache) == ("HELLO", ["say"])
    assert said(folder, cache, "title") == ("Hello", ["say"])
    assert said(folder, cache, "lower") == ("hello", ["say"])


def test_nodes_of_one_name_in_two_packages_have_two_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "packs").mkdir()
    keys = []
    for pack in ("one", "two"):
        (tmp_path / "packs" / f"{pack}.py").write_text(SHOUT.format(name="Shout"))
        module = importlib.import_module(f"packs.{pack}")
        bound = bind(parse(SAY, "graph.yaml"), Registry(node_classes(module)))
        keys.append(node_key(bound.nodes[0], {}, {}, Environment()))
    assert keys[0] != keys[1]


def test_the_keys_of_built_in_nodes_stay_what_they_are() -> None:
    text = "nova: 1\nnodes: {p: {type: PAG, inputs: {scale: 2.5}}}\noutputs: {g: $p.guidance}\n"
    (node,) = bind(parse(text, "graph.yaml"), built_in()).nodes
    assert node_key(node, {}, {}, Environment()) == "0a7338ca0cbc55e4ac254a17ddb3303db22c9424084185af297e7391ae4fbad6"


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("500MB", 500 << 20), ("1.5 GiB", 3 << 29), ("8g", 8 << 30), ("", 1 << 30)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert read_options({"NOVA_MEMORY": text}).memory == size


def test_a_size_that_is_none_is_an_error() -> None:
    with pytest.raises(SettingError, match="NOVA_CACHE_LIMIT is not a size: 'lots'"):
        read_options({"NOVA_CACHE_LIMIT": "lots"})
