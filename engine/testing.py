"""A context for tests of single nodes: real values in, real values out, no graph."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TypeVar

from engine.assets import Found
from engine.environment import Environment
from engine.errors import AssetMissing, Cancelled
from engine.provenance import Provenance
from engine.services import NoPool, Pool
from engine.values import Handle

Live = TypeVar("Live")

NO_PROVENANCE = Provenance(graph={"nova": 1, "nodes": {}}, inputs={}, assets=(), environment="", key="")


class QuietContext:
    """A `Context` that runs a node alone and remembers what it said.

    `assets` gives what asset ports resolve to, `pool` the live objects. With `stop_after=n` the nth report of progress
    raises Cancelled, as if the user had pressed Ctrl-C.
    """

    def __init__(
        self,
        *,
        environment: Environment | None = None,
        assets: Mapping[str, Found] | None = None,
        pool: Pool | None = None,
        provenance: Provenance = NO_PROVENANCE,
        stop_after: int | None = None,
    ) -> None:
        self.environment = environment or Environment()
        self.provenance = provenance
        self.warnings: list[str] = []
        self.is_makeshift = False
        self.steps: list[tuple[int, int]] = []
        self.previews: list[bytes] = []
        self._assets = assets or {}
        self._pool = pool or NoPool()
        self._stop_after = stop_after

    def resident(self, handle: Handle[Live]) -> AbstractContextManager[Live]:
        """Lend the live object of a handle from the given pool."""
        return self._pool.resident(handle, self.warn)

    def asset(self, port: str) -> Found:
        """Give the asset of a port; raises AssetMissing."""
        if port not in self._assets:
            raise AssetMissing(f"{port} names nothing")
        return self._assets[port]

    def progress(self, step: int, total: int, *, preview: Callable[[], bytes] | None = None) -> None:
        """Remember the step and its preview; raises Cancelled where the test asked for it."""
        self.steps.append((step, total))
        if preview is not None:
            self.previews.append(preview())
        self.check()

    def check(self) -> None:
        """Raise Cancelled where the test asked for it."""
        if self._stop_after is not None and len(self.steps) >= self._stop_after:
            raise Cancelled

    def warn(self, text: str) -> None:
        """Remember a warning."""
        self.warnings.append(text)

    def make_room(self) -> None:
        """Make the given pool forget what is not in use."""
        self._pool.clear()

    def makeshift(self, text: str) -> None:
        """Remember a warning, and that the outputs are a makeshift."""
        self.is_makeshift = True
        self.warnings.append(text)
