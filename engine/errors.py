"""Every error a user can cause, in one tree.

    NovaError
    ├── GraphErrors      one or more problems in a graph file, each a Problem with its position
    ├── AssetError       something outside the graph: weights, a picture, a detector
    │   ├── AssetMissing     it is nowhere; lists what was tried
    │   ├── AssetRefused     it is there, but is not what the graph needs
    │   └── FetchError       it could not be downloaded
    ├── NodeError        a node failed while running: id, type, position and cause
    ├── OutputError      a node returned something else than it declares
    ├── CacheError       the cache folder cannot be used
    ├── RegistryError    a node declaration is wrong, or two share a name
    ├── SettingError     an environment variable says what cannot be
    └── Cancelled        the caller asked to stop

Each message says what was tried, with what, why it failed, and what to do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from unicodedata import combining, east_asian_width


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one line in a graph file; lines and columns count from 1."""

    file: str
    line: int
    column: int
    length: int = 1
    text: str = ""
    """The whole line, for the caret."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a graph, and where."""

    message: str
    span: Span | None = None

    def __str__(self) -> str:
        if self.span is None:
            return self.message
        head = f"{self.span}: {self.message}"
        if not self.span.text:
            return head
        number = f"{self.span.line:>5}"
        before = self.span.text[: self.span.column - 1]
        marked = self.span.text[self.span.column - 1 :][: self.span.length]
        caret = " " * _width(before) + "^" * max(1, _width(marked), self.span.length - len(marked))
        return f"{head}\n{number} | {self.span.text}\n{' ' * 5} | {caret}"


def _width(text: str) -> int:
    """Return how many columns a terminal gives a text: two to each wide character, none to a combining one."""
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


class NovaError(Exception):
    """Base of all errors that are the user's to read."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message if not hint else f"{message}\n  {hint}")
        self.message = message
        self.hint = hint


class GraphErrors(NovaError):
    """All problems found in a graph at one stage, shown together."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        total = "1 error" if count == 1 else f"{count} errors"
        super().__init__("\n".join([*map(str, self.problems), f"{total}. Nothing was run."]))


class AssetError(NovaError):
    """Something that a graph names outside itself cannot be used."""


class AssetMissing(AssetError):
    """Nothing was found under that name."""


class AssetRefused(AssetError):
    """It was found, but it is not what the graph needs."""


class FetchError(AssetError):
    """A download failed for good."""


class NodeError(NovaError):
    """A node failed while it ran."""

    def __init__(self, node: str, type_name: str, cause: BaseException, span: Span | None = None) -> None:
        where = f"{span}: " if span else ""
        why = said(cause) or type(cause).__name__
        kind = "" if isinstance(cause, NovaError) else f"{type(cause).__name__}: "
        super().__init__(f"{where}{node} ({type_name}) failed: {kind}{why}")
        self.node = node
        self.type_name = type_name
        self.cause = cause
        self.span = span


def said(cause: BaseException) -> str:
    """Return what an error says, which a node of a stranger may have made unable to say anything."""
    try:
        return str(cause)
    except Exception as worse:  # noqa: BLE001 - whatever it is, the node's failure must be told
        return f"its message cannot be read ({type(worse).__name__})"


class OutputError(NovaError):
    """A node returned something else than its declaration promises."""


class CacheError(NovaError):
    """The cache folder cannot be used."""


class RegistryError(NovaError):
    """A node declaration cannot be registered."""


class SettingError(NovaError):
    """An environment variable says what cannot be."""


class Cancelled(NovaError):
    """The caller asked to stop; nothing that was finished is lost."""

    def __init__(self, message: str = "cancelled") -> None:
        super().__init__(message)
