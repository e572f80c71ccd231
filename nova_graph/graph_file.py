"""A graph file and the node types it may use: enough to check it, not to run it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.bind import bind, check
from engine.bound import Bound
from engine.errors import Problem
from engine.graph import Graph as Written
from engine.openers import FolderOpener
from engine.parse import parse
from engine.registry import Registry
from engine.values import Json


@dataclass(frozen=True)
class GraphFile:
    """A graph as it is written, and the registry it is checked against."""

    written: Written
    path: Path
    registry: Registry

    @property
    def opener(self) -> FolderOpener:
        """Opens what the graph includes: files below the working directory, or beside a graph outside of it."""
        here = Path.cwd()
        return FolderOpener(here if self.path.resolve().is_relative_to(here) else self.path.parent)

    def check(self) -> tuple[Problem, ...]:
        """Check the graph without values for its inputs; returns warnings, raises GraphErrors with all mistakes."""
        return check(self.written, self.registry, opener=self.opener)

    def bind(self, inputs: Mapping[str, Json]) -> Bound:
        """Settle the inputs and check everything that can be checked without looking outside; raises GraphErrors."""
        return bind(self.written, self.registry, inputs, opener=self.opener)


def read_graph(path: Path, registry: Registry) -> GraphFile:
    """Read a graph file; raises OSError, and GraphErrors with every mistake that shows without the node types."""
    return GraphFile(parse(path.read_bytes(), str(path)), path, registry)
