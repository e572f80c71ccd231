"""How a graph finds the files it includes."""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.problems import listed, shown
from engine.source import MAX_BYTES

SUFFIXES: Final = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Opened:
    """An included file: the name that messages and further includes use, and its content."""

    file: str
    content: str | bytes


class CannotOpen(Exception):
    """An include was not opened; the message says why."""


Opener = Callable[[str, str], Opened]
"""Called with the name as written and the file it is written in; raises CannotOpen."""


@dataclass(frozen=True, slots=True)
class FolderOpener:
    """Opens graph files below a folder, relative to the file that includes them; never above it."""

    root: Path

    def __call__(self, name: str, relative_to: str) -> Opened:
        """Open a file; raises CannotOpen."""
        if not name.endswith(SUFFIXES):
            raise CannotOpen(f"{shown(name)} is no graph file: its name must end in {listed(SUFFIXES)}")
        path = Path(relative_to).parent / name
        if Path(name).is_absolute() or "\\" in name or "\0" in name:
            raise CannotOpen(f"{shown(name)} must be a path relative to this file")
        try:
            whole, root = path.resolve(), self.root.resolve()
            if not whole.is_relative_to(root):
                raise CannotOpen(f"{shown(name)} lies outside {root}; graphs include files below that folder only")
            if not whole.is_file():
                looked = "" if str(path) == name else f"; looked for {path}"
                raise CannotOpen(f"{shown(name)} is not there{looked}")
            with whole.open("rb") as stream:
                return Opened(posixpath.normpath(path.as_posix()), stream.read(MAX_BYTES + 1))
        except (OSError, RuntimeError) as error:
            raise CannotOpen(f"{shown(name)} cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class LibraryOpener:
    """Opens graphs from a fixed set by name; for graphs that come from strangers."""

    graphs: Mapping[str, str | bytes]

    def __call__(self, name: str, relative_to: str) -> Opened:
        """Open a graph of the library: by its name, or relative to a graph of the library; raises CannotOpen."""
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(relative_to), name))
        candidates = [name, *(name + suffix for suffix in SUFFIXES)]
        if relative_to in self.graphs:
            candidates.insert(0, beside)
        for candidate in candidates:
            if candidate in self.graphs:
                return Opened(candidate, self.graphs[candidate])
        known = listed(sorted(self.graphs)[:50], "and")
        raise CannotOpen(f"there is no graph {shown(name)} in the library; there is {known or 'none'}")


def refuse_includes(name: str, relative_to: str) -> Opened:  # noqa: ARG001
    """Open nothing: for graphs that stand alone."""
    raise CannotOpen(f"{shown(name)} cannot be included here: this graph must stand alone")
