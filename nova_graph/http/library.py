"""The graphs that the service knows by name."""

import difflib
from collections.abc import Mapping
from pathlib import Path

from engine.graph import Graph
from engine.openers import SUFFIXES, LibraryOpener
from engine.parse import parse
from engine.source import MAX_BYTES
from nova_graph.http.kinds import GRAPH
from nova_graph.http.problems import Trouble

DEFAULT = "default"
"""The graph behind `/predict`."""


class Library:
    """Graph files by name; those in subfolders are there to be included. Each file is read once."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)
        self._parsed: dict[str, Graph] = {}
        self.names = {_plain(file): file for file in sorted(self._files) if "/" not in file}

    @property
    def opener(self) -> LibraryOpener:
        """Opens included graphs by their names, never by a path."""
        return LibraryOpener(self._files)

    def graph(self, name: str) -> Graph:
        """Return a graph by its name, with or without suffix; raises Trouble, GraphErrors."""
        file = self.names.get(_plain(name))
        if file is None:
            close = difflib.get_close_matches(name[:100], self.names, n=1)
            known = f"did you mean {close[0]}?" if close else f"there is {', '.join(self.names) or 'none'}."
            raise Trouble(404, f"There is no graph {name[:100]!r}; {known}", kind=GRAPH)
        if file not in self._parsed:
            self._parsed[file] = parse(self._files[file], file)
        return self._parsed[file]


def read_library(folder: Path) -> Library:
    """Read the graph files in a folder and its subfolders; a folder that is not there holds none."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and path.is_file() and path.stat().st_size <= MAX_BYTES:
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return Library(files)


def _plain(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)
