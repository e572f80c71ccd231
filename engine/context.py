"""What a node sees of the world while it runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from engine.assets import Found
from engine.environment import Environment
from engine.provenance import Provenance
from engine.values import Handle

Live = TypeVar("Live")


class Context(Protocol):
    """The only door from a node to the outside; one per running node."""

    @property
    def environment(self) -> Environment:
        """Device, dtype and software."""
        ...

    @property
    def provenance(self) -> Provenance:
        """How this node's inputs came to be: its ancestors, resolved; for nodes that declare `writes_provenance`."""
        ...

    def resident(self, handle: Handle[Live]) -> AbstractContextManager[Live]:
        """Give the live object of a handle, loaded at most once and kept in memory while in use."""
        ...

    def asset(self, port: str) -> Found:
        """Give what the text of this asset port resolved to when the run was planned."""
        ...

    def progress(self, step: int, total: int, *, preview: Callable[[], bytes] | None = None) -> None:
        """Report `step` of `total` done; `preview` makes a small picture if anybody is watching. Raises Cancelled."""
        ...

    def check(self) -> None:
        """Raise Cancelled if the caller asked to stop."""
        ...

    def warn(self, text: str) -> None:
        """Tell the user something that does not stop the run."""
        ...

    def make_room(self) -> None:
        """Forget the live objects that nobody uses, where the device has too little memory."""
        ...

    def makeshift(self, text: str) -> None:
        """Warn that the outputs are not quite what the inputs ask for; they, and what follows, are not cached."""
        ...
