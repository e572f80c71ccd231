"""What the processor-only containers do: check, plan, download, and answer what is known already."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from engine.environment import Environment
from engine.errors import AssetError, FetchError, NovaError
from engine.events import AnyEvent
from engine.values import Json
from nodes.assets import Settings
from nodes.assets.environment import find_environment
from nova_graph.api import Plan, run
from nova_graph.modal.documents import Document, plan_document, with_checkpoint, without_history
from nova_graph.modal.timing import read_entries, summarize
from nova_graph.modal.unfit import refuse_unfit
from nova_graph.modal.volume import Shared
from nova_graph.modal.wire import PROTOCOL, Message, from_error, from_event, from_outputs, to_error
from nova_graph.runtime import Runtime, Warn, local_runtime

READY: Message = {"event": "ready"}

Download = Callable[[Document], Iterator[Message]]


class Front:
    """Looks at graphs on behalf of the GPU containers: its plan has their keys, so that a hit here is a hit there.

    `fallback` is the checkpoint that they draw with where the one asked for cannot be had. `elsewhere` has another
    container's `download` called: one for all, so that no file has two writers.
    """

    def __init__(self, runtime: Runtime, volume: Shared, fallback: str = "", elsewhere: Download | None = None) -> None:
        self.runtime = runtime
        self._volume = volume
        self.fallback = fallback
        self._elsewhere = elsewhere or self.download

    def prepare(self, documents: Sequence[Document]) -> Iterator[Message]:
        """Check graphs, download what they need, and answer each where every result is known.

        `run` in a message is the place of the graph that it is about. The last message about a graph is `ready` where
        a GPU is needed, `pictures` where none is, and `error` otherwise. The first message of all is `hello`.
        """
        yield {"event": "hello", "protocol": PROTOCOL}
        self._volume.refresh()
        for run_number, document in enumerate(documents):
            try:
                for message in self._prepare_one(document):
                    yield {**message, "run": run_number}
            except NovaError as error:
                yield {**from_error(error), "run": run_number}

    def fetch(self, document: Document) -> str:
        """Download what a graph needs and say where it lies; raises NovaError."""
        self._volume.refresh()
        for _ in self._planned(document):
            pass
        found = plan_document(document, self.runtime).engine_plan.found.values()
        return "\n".join(dict.fromkeys(f"{each.asset.kind}: {each.how}" for each in found if each.path is not None))

    def download(self, document: Document) -> Iterator[Message]:
        """Download every missing file of a graph, then make them seen by all; yields notes, at last an error if any."""
        self._volume.refresh()
        try:
            pending = plan_document(document, self.runtime).engine_plan.pending
            for each in pending:
                asset = each.fetchable.asset
                yield {"event": "note", "text": f"fetching {asset.kind} {asset.name}: {each.fetchable.how}"}
                found = self.runtime.services.assets.fetch(asset, _report_nothing)
                yield {"event": "note", "text": f"{asset.kind}: {found.how}"}
            if pending:
                self._keep()
        except NovaError as error:
            yield from_error(error)

    def timing_report(self) -> dict[str, Json]:
        """Return how long the calls of all containers took."""
        self._volume.refresh()
        return summarize(read_entries(self.runtime.settings.cache / "timing"))

    def _prepare_one(self, document: Document) -> Iterator[Message]:
        """Prepare a graph, or with the fallback what the GPU container will draw in its place and warn of."""
        try:
            yield from self._prepare(document)
        except AssetError as error:
            other = with_checkpoint(document, self.fallback) if self.fallback else None
            if other is None:
                raise
            for message in self._prepare(other):
                if message["event"] == "pictures":
                    yield {"event": "note", "text": f"drawn with {self.fallback} instead, because: {error}"}
                yield message

    def _prepare(self, document: Document) -> Iterator[Message]:
        plan = yield from self._planned(document)
        if plan.engine_plan.to_run:
            refuse_unfit(plan.engine_plan)
            yield READY
            return
        events: list[AnyEvent] = []
        result = run(plan, on_event=events.append)
        yield from map(from_event, events)
        yield from_outputs(result.outputs)

    def _keep(self) -> None:
        """Make downloads seen by all; raises FetchError."""
        try:
            self._volume.commit()
        except Exception as error:  # Modal raises errors of many classes
            raise FetchError(
                f"the Volume does not take what was downloaded: {type(error).__name__}: {error}",
                hint="Make room on it: modal volume ls and modal volume rm, with its name.",
            ) from error

    def _planned(self, document: Document) -> Generator[Message, None, Plan]:
        """Plan a graph, after what it lacks was downloaded and taken in; raises NovaError."""
        plan = plan_document(document, self.runtime)
        if not plan.engine_plan.pending:
            return plan
        for message in self._elsewhere(document):
            if message["event"] == "error":
                raise to_error(message)
            yield message
        self._volume.refresh()
        return plan_document(document, self.runtime)


def _report_nothing(_done: int, _total: int | None, _what: str) -> None:
    """Take no notice."""


def front_runtime(settings: Settings, warn: Warn) -> Runtime:
    """Return a runtime that plans as a GPU container would and computes nothing."""
    planned = planned_environment(settings)
    runtime = local_runtime(settings=replace(settings, device="cpu", dtype="float32"), warn=warn)
    return without_history(replace(runtime, services=replace(runtime.services, environment=planned)))


def planned_environment(settings: Settings) -> Environment:
    """Return the environment of the GPU containers as far as it is in keys; the GPU itself need not be here."""
    device = settings.device or "cuda"
    dtype = settings.dtype or ("float32" if device == "cpu" else "float16")
    here = find_environment(replace(settings, device="cpu", dtype="float32"))
    return Environment(device, dtype, here.facts)
