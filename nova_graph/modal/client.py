"""The calling side: send a graph to containers, show what they tell, take the pictures."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from engine.errors import NovaError
from engine.events import AnyEvent
from engine.values import Json
from nodes.values import File
from nova_graph.modal.documents import Document
from nova_graph.modal.prices import estimate
from nova_graph.modal.settings import CloudSettings
from nova_graph.modal.wire import CloudError, Message, Report, to_error, to_event, to_groups, to_report

Show = Callable[[AnyEvent], None]
Say = Callable[[str], None]

ARTIST = "NovaAnime"
"""The GPU class of runtime_modal.py."""


@dataclass(frozen=True)
class Drawn:
    """What a call gave; `report` is None where every result was known and no GPU was asked."""

    groups: Mapping[str, tuple[File, ...]]
    """The encoded pictures by the graph's outputs."""
    outputs: Mapping[str, Json]
    """The outputs that are plain values."""
    report: Report | None
    waited: float = 0.0
    """Seconds from the call to the container's first word."""

    @property
    def files(self) -> tuple[File, ...]:
        """All pictures, in order."""
        return tuple(file for files in self.groups.values() for file in files)


class Remote(Protocol):
    """The containers, as a client reaches them."""

    def prepare(self, document: Document) -> Iterable[Message]:
        """Check, download, and answer from what is known, without a GPU."""
        ...

    def run(self, document: Document, previews: bool) -> Iterable[Message]:
        """Run on a GPU; closing the iterator stops it there too."""
        ...

    def run_all(self, documents: Sequence[Document]) -> Iterator[list[Message] | BaseException]:
        """Run each in whatever container is free, results in order."""
        ...


@dataclass(frozen=True)
class ModalRemote:
    """The functions of runtime_modal.py: those of an app that runs for this command, or of a deployed one."""

    prepare_function: Any
    artist: Any

    def prepare(self, document: Document) -> Iterable[Message]:
        """Call the processor-only function."""
        messages: Iterable[Message] = self.prepare_function.remote_gen(document)
        return messages

    def run(self, document: Document, previews: bool) -> Iterable[Message]:
        """Call the GPU class; a caller that stops listening cancels the call."""
        call_id = ""
        is_over = False
        try:
            for message in self.artist.run_graph.remote_gen(document, previews):
                if message.get("event") == "call":
                    call_id = message["id"]
                yield message
            is_over = True
        finally:
            if call_id and not is_over:
                cancel_call(call_id)

    def run_all(self, documents: Sequence[Document]) -> Iterator[list[Message] | BaseException]:
        """Map over the GPU class: Modal decides how many containers work on it."""
        results: Iterable[list[Message] | BaseException] = self.artist.draw.map(documents, return_exceptions=True)
        return iter(results)


def deployed(settings: CloudSettings) -> ModalRemote:
    """Return the functions of the deployed app; nothing is asked of Modal before the first call."""
    import modal

    artist = modal.Cls.from_name(settings.app, ARTIST)
    return ModalRemote(modal.Function.from_name(settings.app, "prepare"), artist())


@contextmanager
def modal_errors(settings: CloudSettings) -> Iterator[None]:
    """Say what Modal's own errors mean; raises CloudError."""
    from modal import exception

    try:
        yield
    except exception.NotFoundError as error:
        text = f"{settings.app} is not deployed, or was deployed by another version: {error}"
        raise CloudError(f"{text}\n  Deploy it: modal deploy runtime_modal.py", "fault") from None
    except exception.AuthError as error:
        raise CloudError(f"Modal does not know you: {error}\n  Run: modal token new", "fault") from None
    except exception.FunctionTimeoutError:
        text = f"the call took longer than {settings.timeout} s"
        raise CloudError(f"{text}\n  Set NOVA_MODAL_TIMEOUT and deploy again.", "fault") from None
    except exception.InternalFailure as error:
        raise CloudError(f"the container was lost: {error}\n  Run it again.", "fault") from None
    except exception.Error as error:
        raise CloudError(f"Modal: {type(error).__name__}: {error}", "fault") from None


def cancel_call(call_id: str) -> None:
    """Cancel a call; the container stays, with what it has loaded."""
    import modal

    with suppress(modal.exception.Error):
        modal.FunctionCall.from_id(call_id).cancel()


def draw(remote: Remote, document: Document, show: Show, say: Say, *, previews: bool = False) -> Drawn:
    """Run one graph, on a GPU only where something is left to compute; raises NovaError."""
    before = _take(remote.prepare(document), show, say)
    if before is not None:
        return before
    after = _take(remote.run(document, previews), show, say)
    if after is None:
        raise CloudError("the container gave no pictures", "fault")
    return after


def draw_all(remote: Remote, documents: Sequence[Document], say: Say) -> Iterator[Drawn | NovaError]:
    """Run many graphs at once and yield their results in order; one that fails spoils no other."""
    ready: dict[int, Drawn | NovaError] = {}
    for number, document in enumerate(documents):
        try:
            answer = _take(remote.prepare(document), _hear_nothing, say)
        except NovaError as error:
            ready[number] = error
        else:
            if answer is not None:
                ready[number] = answer
    rest = [document for number, document in enumerate(documents) if number not in ready]
    results = remote.run_all(rest) if rest else iter(())
    for number in range(len(documents)):
        yield ready[number] if number in ready else _judged(next(results), say)


def cost_line(drawn: Drawn) -> str:
    """Return a line with GPU seconds, what they cost about, the cold start and the cache."""
    report = drawn.report
    if report is None:
        return "every result was known: no GPU was asked"
    priced = estimate(report.device, report.seconds + report.cold)
    spent = str(priced) if priced else f"{report.seconds:.1f} s on {report.device or 'a processor'}, not priced"
    start = max(drawn.waited, report.cold)
    cold = f"cold start {start:.1f} s" if report.number == 1 else "warm container"
    return f"{spent}; {cold}; {report.ran} nodes ran, {report.cached} cached"


def _hear_nothing(_: AnyEvent) -> None:
    """Take no notice."""


def _judged(result: list[Message] | BaseException, say: Say) -> Drawn | NovaError:
    if isinstance(result, BaseException):
        return CloudError(f"{type(result).__name__}: {result}", "fault")
    try:
        drawn = _take(result, _hear_nothing, say)
    except NovaError as error:
        return error
    return drawn or CloudError("the container gave no pictures", "fault")


def _take(messages: Iterable[Message], show: Show, say: Say) -> Drawn | None:
    given: Message | None = None
    report: Report | None = None
    error: NovaError | None = None
    asked, waited = time.monotonic(), 0.0
    for message in messages:
        waited = waited or time.monotonic() - asked
        match message.get("event"):
            case "pictures":
                given = message
            case "report":
                report = to_report(message)
            case "error":
                error = to_error(message)
            case "note":
                say(str(message["text"]))
            case _:
                event = to_event(message)
                if event is not None:
                    show(event)
    if error is not None:
        raise error
    if given is None:
        return None
    return Drawn(to_groups(given), given["outputs"], report, waited)
