"""What to do where a device runs out of memory."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import torch

from engine.errors import NovaError

Result = TypeVar("Result")


class MakesRoom(Protocol):
    """Who can free memory of the device; a node's context is one."""

    def check(self) -> None:
        """Raise Cancelled if the computation should stop."""
        ...

    def make_room(self) -> None:
        """Forget the models that are not in use."""
        ...


class Host(MakesRoom, Protocol):
    """Who runs a computation and hears of it; a node's context is one."""

    def warn(self, text: str) -> None:
        """Tell the user something that does not stop the run."""
        ...

    def makeshift(self, text: str) -> None:
        """Tell the user that the result is not quite what was asked for, and keep it out of the cache."""
        ...


class Alone:
    """A host that keeps quiet and has nothing to forget."""

    def check(self) -> None:
        """Go on."""

    def warn(self, text: str) -> None:
        """Tell nobody."""

    def make_room(self) -> None:
        """Do nothing."""

    def makeshift(self, text: str) -> None:
        """Tell nobody."""


def with_room(
    use: Callable[[], Result], host: MakesRoom, what: str, smaller: Callable[[], Result] | None = None
) -> Result:
    """Compute something; where the device has too little memory for it, once more when the idle models are gone.

    Where that does not help, `smaller` is tried. Raises NovaError that names `what` was to be done.
    """
    failure = None
    for attempt in (use, use, smaller):
        if attempt is None:
            break
        if failure is not None:
            host.make_room()
            host.check()
        try:
            return attempt()
        except torch.OutOfMemoryError as error:
            # Without the traceback, which would keep what the attempt holds in memory.
            failure = error.with_traceback(None)
    raise NovaError(
        f"the device ran out of memory {what}, though idle models were forgotten",
        hint="Make the picture smaller, or draw fewer at once (micro_batch 1). Other programs may use the device too.",
    ) from failure
