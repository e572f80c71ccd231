"""Graphs to pictures in containers: ask a processor first, a GPU for what is left, take what they tell."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from engine.errors import NovaError
from engine.events import AnyEvent
from engine.values import Json
from nodes.values import File
from nova_graph.modal.documents import Document, told_seeds
from nova_graph.modal.wire import PROTOCOL, CloudError, Message, Report, to_error, to_event, to_groups, to_report

Show = Callable[[AnyEvent], None]
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a call gave, or why it failed; `report` is None where no GPU was asked."""

    groups: Mapping[str, tuple[File, ...]] = field(default_factory=dict)
    """The encoded pictures by the graph's outputs."""
    outputs: Mapping[str, Json] = field(default_factory=dict)
    """The outputs that are plain values."""
    report: Report | None = None
    waited: float = 0.0
    """Seconds from the call to the container's first word."""
    error: NovaError | None = None
    is_lost: bool = False
    """Whether a GPU was asked whose container could not say what the call took."""

    @property
    def files(self) -> tuple[File, ...]:
        """All pictures, in order."""
        return tuple(file for files in self.groups.values() for file in files)


class Remote(Protocol):
    """The containers, as a client reaches them."""

    def prepare(self, documents: Sequence[Document]) -> Iterable[Message]:
        """Check, download, and answer from what is known, without a GPU; `run` in a message is the graph's place."""
        ...

    def run(self, document: Document, previews: bool) -> Generator[Message, None, None]:
        """Run on a GPU; closing the generator stops it there too."""
        ...

    def run_all(self, documents: Sequence[Document]) -> Generator[list[Message] | NovaError, None, None]:
        """Run each in whatever container is free, results in order; closing the generator stops them all."""
        ...


def draw(remote: Remote, document: Document, show: Show, say: Say, *, previews: bool = False) -> Drawn:
    """Run one graph, on a GPU only where something is left to compute; its seeds are told before it begins."""
    for seed in told_seeds(document):
        say(seed)
    (known,) = _prepare(remote, [document], show, say)
    if known is not None:
        return known
    with closing(remote.run(document, previews)) as messages:
        return _take(messages, show)


def draw_all(remote: Remote, documents: Sequence[Document], say: Say) -> Generator[Drawn, None, None]:
    """Run many graphs at once and yield their results in order; one that fails spoils no other.

    Closing the generator stops those that are not over.
    """
    prepared = _prepare(remote, documents, _hear_nothing, say)
    rest = [document for document, known in zip(documents, prepared, strict=True) if known is None]
    with closing(remote.run_all(rest)) as results:
        for known in prepared:
            yield known or _judged(next(results))


def _prepare(remote: Remote, documents: Sequence[Document], show: Show, say: Say) -> list[Drawn | None]:
    """Return what is known of each graph without a GPU, None where one is needed."""
    told: list[list[Message]] = [[] for _ in documents]
    messages = iter(remote.prepare(documents))
    _check_protocol(next(messages, {}))
    for message in messages:
        if message["event"] == "note":
            say(str(message["text"]))
        else:
            told[message["run"]].append(message)
    is_ready = [any(message["event"] == "ready" for message in each) for each in told]
    return [None if ready else _take(each, show) for each, ready in zip(told, is_ready, strict=True)]


def _check_protocol(hello: Message) -> None:
    """See that the deployed app speaks as this client does; raises CloudError."""
    theirs = hello.get("protocol")
    if theirs != PROTOCOL:
        text = f"the app was deployed by another version: it speaks protocol {theirs}, this client {PROTOCOL}"
        raise CloudError(f"{text}\n  Deploy it again: modal deploy runtime_modal.py", "fault")


def _judged(result: list[Message] | NovaError) -> Drawn:
    return Drawn(error=result, is_lost=True) if isinstance(result, NovaError) else _take(result, _hear_nothing)


def _take(messages: Iterable[Message], show: Show) -> Drawn:
    given: Message = {"files": [], "outputs": {}}
    report: Report | None = None
    error: NovaError | None = CloudError("the container gave no pictures", "fault")
    asked, waited = monotonic(), 0.0
    for message in messages:
        waited = waited or monotonic() - asked
        match message.get("event"):
            case "pictures":
                given, error = message, None
            case "report":
                report = to_report(message)
            case "error":
                error = to_error(message)
            case _:
                event = to_event(message)
                if event is not None:
                    show(event)
    return Drawn(groups=to_groups(given), outputs=given["outputs"], report=report, waited=waited, error=error)


def _hear_nothing(_: AnyEvent) -> None:
    """Take no notice."""
