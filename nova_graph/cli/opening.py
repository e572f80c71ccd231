"""What most commands begin with: a runtime, a graph, and the inputs given on the command line."""

import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import GraphErrors, SettingError
from engine.openers import SUFFIXES
from engine.problems import FEW
from engine.values import Json
from engine.words import Words
from nova_graph.cli.exits import UsageError
from nova_graph.cli.flags import NO_OPTIONS, Options, flag_name, read_flags, read_settings
from nova_graph.cli.printing import harmless

if TYPE_CHECKING:
    from engine.registry import Registry
    from nova_graph.api import Graph
    from nova_graph.graph_file import GraphFile
    from nova_graph.runtime import Runtime, Warn


@dataclass(frozen=True, slots=True)
class Given:
    """What a command line says of a graph: the file, flags for its inputs, and `name=value` settings."""

    path: Path
    tokens: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    options: Options = NO_OPTIONS
    """What a wrong flag may be meant to be."""


def open_runtime(*, device: str = "", on_disk: bool = True, warn: "Warn | None" = None) -> "Runtime":
    """Return this machine's runtime; `device` goes before NOVA_DEVICE. Raises SettingError, RegistryError."""
    from nodes.assets import read_settings as read_environment
    from nova_graph.cli.reading import FirstReading
    from nova_graph.runtime import local_runtime

    settings = read_environment()
    if device:
        settings = replace(settings, device=device.strip().lower())
    reading = FirstReading(sys.stderr.write)
    try:
        return local_runtime(settings=settings, on_disk=on_disk, warn=warn or tell, reading=reading)
    except SettingError as error:
        if not device:
            raise
        message, hint = (text.replace("NOVA_DEVICE", "--device") for text in (error.message, error.hint))
        raise SettingError(message, hint=hint) from error


def open_graph(path: Path, runtime: "Runtime") -> "Graph":
    """Read a graph file to plan or run it; raises UsageError where there is none, GraphErrors where it is wrong."""
    from nova_graph.api import load

    with _explained(path):
        return load(path, runtime=runtime)


def open_graph_file(path: Path) -> "GraphFile":
    """Read a graph file to look at it; raises UsageError where there is none, GraphErrors where it is wrong."""
    from nova_graph.graph_file import read_graph

    with _explained(path):
        return read_graph(path, every_node())


def every_node() -> "Registry":
    """Return every node type that is installed; raises SettingError, RegistryError."""
    from nova_graph.options import read_options
    from nova_graph.plugins import all_nodes

    return all_nodes(read_options())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        _refuse_all_but_files(path)
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except GraphErrors:
        from nova_graph.cli.mistaken import refuse_mistaken

        refuse_mistaken(path)
        raise


def is_graph_file(path: Path) -> bool:
    """Tell whether a word means a graph file of this machine, also one that is not there, and no name on a service."""
    return path.is_file() or path.suffix in SUFFIXES


def _refuse_all_but_files(path: Path) -> None:
    if path.is_dir():
        graphs = [str(path / name) for name in sorted(_graphs_in(path))[:FEW]]
        raise UsageError(
            f"{path} is a folder", hint=f"Name a graph file in it{': ' if graphs else ''}{', '.join(graphs)}."
        )
    if not path.exists():
        raise UsageError(f"there is no graph file {path}{_nearest(path)}")
    if not path.is_file():
        raise UsageError(f"{path} is no plain file", hint="Save the graph to a file, and name that.")


def declared_inputs(graph: "GraphFile") -> dict[str, Words]:
    """Return the inputs that a command line can give, with their bounds and defaults; raises GraphErrors."""
    from engine.input_schema import input_words

    return input_words(graph.written, graph.registry, opener=graph.opener)


def given_inputs(graph: "GraphFile", given: Given) -> Mapping[str, Json]:
    """Return the inputs that the command line gives; raises UsageError, GraphErrors."""
    if not given.tokens and not given.settings:
        return {}
    inputs = declared_inputs(graph)
    flags, settings = read_flags(given.tokens, inputs, given.options), read_settings(given.settings, inputs)
    for name in flags.keys() & settings.keys():
        raise UsageError(f"{name} is given twice: as {flag_name(name)} and with --set")
    return {**flags, **settings}


def tell(text: str) -> None:
    """Print a warning."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False).print(Text(f"warning: {harmless(text)}", style="yellow"), soft_wrap=True)


def _nearest(path: Path) -> str:
    """Say which file was meant: one beside it, or, of a bare name, one in the folder `graphs`; or what is not there."""
    folders = (path.parent, Path("graphs")) if path.name == str(path) else (path.parent,)
    for folder in folders:
        graphs = {Path(name).stem: name for name in _graphs_in(folder)}
        close = difflib.get_close_matches(path.stem, graphs, n=1, cutoff=0.5)
        if close:
            return f"; did you mean {folder / graphs[close[0]]}?"
    return "" if path.parent.is_dir() else f"; there is no folder {path.parent}"


def _graphs_in(folder: Path) -> Sequence[str]:
    names = [entry.name for entry in os.scandir(folder)] if folder.is_dir() else []
    return [name for name in names if name.endswith(SUFFIXES)]
