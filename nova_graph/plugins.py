"""Every node type: the built-in ones, those of installed packages that announce themselves, those of given folders."""

import importlib.util
import sys
from collections.abc import Iterator
from hashlib import sha256
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from engine import Node
from engine.errors import RegistryError
from engine.registry import Registry
from nodes.library import built_in
from nova_graph.options import Options

GROUP = "nova_graph.nodes"
"""The entry-point group; an entry names a module, or one node class in it."""


def all_nodes(options: Options) -> Registry:
    """Return the built-in node types, those of installed packages, and those of the user's folders."""
    further = [*installed_nodes(), *(cls for folder in options.nodes for cls in nodes_in_folder(folder))]
    return built_in().extended(further) if further else built_in()


def installed_nodes() -> Iterator[type[Node[Any]]]:
    """Find the node classes of installed packages; raises RegistryError where one cannot be imported."""
    for entry in entry_points(group=GROUP):
        yield from _loaded(entry)


def nodes_in_folder(folder: Path) -> Iterator[type[Node[Any]]]:
    """Find the node classes in the `*.py` files of a folder that the user named, in order of their names.

    The files are imported, so they run with the user's rights. Raises RegistryError where one cannot be.
    """
    if not folder.is_dir():
        raise RegistryError(f"the node folder {folder} does not exist", hint="Name a folder with .py files in it.")
    for file in sorted(folder.glob("*.py")):
        yield from node_classes(_module(file))


def node_classes(module: ModuleType) -> Iterator[type[Node[Any]]]:
    """Find the node classes that a module itself declares; a class without a `run` of its own is a base, not a node."""
    for thing in vars(module).values():
        is_ours = isinstance(thing, type) and issubclass(thing, Node) and thing.__module__ == module.__name__
        if is_ours and thing.run is not Node.run:
            yield thing


def _loaded(entry: EntryPoint) -> Iterator[type[Node[Any]]]:
    try:
        thing = entry.load()
    except (Exception, SystemExit) as error:
        raise RegistryError(
            f"the nodes of {entry.name} ({entry.value}) cannot be imported: {type(error).__name__}: {error}",
            hint="Update or uninstall that package.",
        ) from error
    if isinstance(thing, ModuleType):
        yield from node_classes(thing)
    elif isinstance(thing, type) and issubclass(thing, Node):
        yield thing
    else:
        raise RegistryError(f"the entry point {entry.name} ({entry.value}) is neither a module nor a node class")


class _Loader(SourceFileLoader):
    """Runs the very bytes that the module is named after."""

    def __init__(self, name: str, file: Path, source: bytes) -> None:
        super().__init__(name, str(file))
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._source, self.path)


def _module(file: Path) -> ModuleType:
    """Import a file; the module's name, which stands in the keys of its nodes, tells content from content."""
    name = ""
    try:
        source = file.read_bytes()
        name = f"nova_nodes.{file.stem}_{sha256(source).hexdigest()}"
        loader = _Loader(name, file, source)
        module = importlib.util.module_from_spec(ModuleSpec(name, loader, origin=str(file)))
        module.__file__ = str(file)
        sys.modules[name] = module
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise RegistryError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    return module
