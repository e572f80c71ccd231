"""The Volume, as a container uses it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shared:
    """What makes a container's writes seen by others, and others' writes seen here.

    `reload` fails while a file of the Volume is open or mapped: only call it where that cannot be, and take False for
    an answer.
    """

    commit: Callable[[], None]
    reload: Callable[[], None]

    def refresh(self) -> bool:
        """Take in what others committed; False where a file is in use, and nothing changed."""
        try:
            self.reload()
        except RuntimeError:
            return False
        return True


def unshared() -> Shared:
    """Return a Volume that nobody else sees: a folder of this machine."""
    return Shared(commit=lambda: None, reload=lambda: None)
