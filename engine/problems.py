"""Gathering what is wrong in a graph, with suggestions, and without ever growing out of hand."""

import json
from collections.abc import Collection, Iterable
from difflib import SequenceMatcher, get_close_matches
from typing import Protocol

from engine.errors import GraphErrors, Problem, Span

LISTED = 100
"""Problems shown one by one; the rest is counted."""

GUESSED = 20
"""Problems that get a "did you mean": comparing names is the one costly thing here."""

NAME = 64
"""Longer texts are no misspelt names."""

COMPARED = 1000
"""Known names that a misspelt one is compared with."""

STEM = 3
"""So many letters say which longer name was begun."""

TYPED = 0.8
"""Names this much alike differ by a slip of the finger."""

FEW = 8
"""So many known names are listed when none is near."""

ITEMS = 4
"""Items of a list that are shown."""

QUOTED = 60
"""Characters of a value that are shown."""


CUT = "a text with a comma in it needs quotes inside { }"
"""What is advised where a key has no value: `{prompt: 1girl, solo}`."""


class Placed(Protocol):
    """Anything that knows where it was written."""

    @property
    def span(self) -> Span | None:
        """The stretch of text, where there is a text."""
        ...

    @property
    def path(self) -> str:
        """The keys that lead to it, as `nodes.sampler.inputs`."""
        ...


class Problems:
    """A growing list of problems; each is kept once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Span | None], Problem] = {}
        self._more = 0
        self._guesses = GUESSED

    def __bool__(self) -> bool:
        """Tell whether anything is wrong."""
        return bool(self._found)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._found) + self._more

    def add(self, message: str, place: Placed | None = None) -> None:
        """Add a problem; without a text to point at, the message begins with the path."""
        if len(self._found) >= LISTED:
            self._more += 1
            return
        span = place.span if place is not None else None
        if place is not None and span is None and place.path:
            message = f"{place.path}: {message}"
        self.take(Problem(message, span))

    def take(self, problem: Problem) -> None:
        """Add a problem that is complete."""
        key = (problem.message, problem.span)
        if key in self._found:
            return
        if len(self._found) >= LISTED:
            self._more += 1
            return
        self._found[key] = problem

    def unknown(
        self, what: str, name: str, known: Collection[str], place: Placed | None = None, *, advice: str = ""
    ) -> str:
        """Add a problem about a name that does not exist; returns the one that was probably meant, or nothing.

        `advice` is said as well.
        """
        meant = self.nearest(name, known)
        end = f"; did you mean {shown(meant)}?" if meant else ""
        end += f"; {advice}" if advice else ""
        if not end and 0 < len(known) <= FEW:
            end = f"; there is {listed(known, 'and')}"
        self.add(f"{what} {shown(name)}{end}", place)
        return meant

    def nearest(self, name: str, known: Collection[str]) -> str:
        """Return the known name that is nearest, or nothing."""
        if self._guesses <= 0 or len(name) > NAME:
            return ""
        self._guesses -= 1
        return nearest_name(name, known)

    def found(self) -> tuple[Problem, ...]:
        """Return what was found."""
        return tuple(self._found.values())

    def check(self) -> None:
        """Raise GraphErrors if anything is wrong."""
        if not self._found:
            return
        listed = list(self._found.values())
        if self._more:
            listed.append(Problem(f"and {self._more} more; mend these first"))
        raise GraphErrors(listed)


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant, or nothing.

    It is the same but for its case, goes on where `name` ends (`euler_a`), differs in a letter or two, is what `name`
    goes on from (`cfg_scale`), or is the most alike.
    """
    if len(name) > NAME:
        return ""
    candidates = [candidate for candidate in known if len(candidate) <= NAME][:COMPARED]
    wanted = name.lower()
    same = [candidate for candidate in candidates if candidate.lower() == wanted]
    longer = [candidate for candidate in candidates if len(name) >= STEM and candidate.lower().startswith(wanted)]
    stems = [
        candidate for candidate in candidates if wanted.startswith((f"{candidate.lower()}-", f"{candidate.lower()}_"))
    ]
    alike = get_close_matches(name, candidates, n=1)
    typed = [candidate for candidate in alike if SequenceMatcher(None, name, candidate).ratio() >= TYPED]
    return next(iter((*same, *longer, *typed, *sorted(stems, key=len, reverse=True), *alike)), "")


def shown(value: object) -> str:
    """Return a value as it would be written in a graph, on one short line and safe for any terminal."""
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, list):
        inside = ", ".join(shown(item) for item in value[:ITEMS])
        return f"[{inside}{', ...' if len(value) > ITEMS else ''}]"
    if isinstance(value, dict):
        return "{...}" if value else "{}"
    if isinstance(value, str):
        text = value if len(value) <= QUOTED else value[:QUOTED] + "..."
        return json.dumps(text, ensure_ascii=not text.isprintable())
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**QUOTED:
        return f"a number beyond 1e{QUOTED}"
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return type(value).__name__


def listed(names: Collection[str], joint: str = "or") -> str:
    """Return names as people list them: `a, b or c`."""
    ordered = list(names)
    rest = ordered[:-1]
    return f"{', '.join(rest)} {joint} {ordered[-1]}" if rest else "".join(ordered)
