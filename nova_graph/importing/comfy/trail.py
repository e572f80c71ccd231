"""Walking from one place to the next, as far as it goes."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from nova_graph.cli.exits import UsageError

Place = TypeVar("Place", bound=Hashable)


class Trail(Generic[Place]):
    """Finds where places lead to; what many of them have in common is walked once. `step` gives None at an end."""

    def __init__(self, step: Callable[[Place], Place | None]) -> None:
        self._step = step
        self._ends: dict[Place, Place] = {}

    def end(self, place: Place) -> Place:
        """Return the last place; raises UsageError where there is none."""
        passed: dict[Place, None] = {}
        while place not in self._ends and (further := self._step(place)) is not None:
            if place in passed:
                raise UsageError("the workflow goes in a circle")
            passed[place] = None
            place = further
        found = self._ends.get(place, place)
        self._ends.update(dict.fromkeys(passed, found))
        return found
