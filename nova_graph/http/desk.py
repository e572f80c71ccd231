"""What the answering process does with a graph: read it, check it, plan it, and answer full hits. It never computes."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from engine.bind import bind, check
from engine.bound import Bound
from engine.cache import OnDisk
from engine.document import document
from engine.errors import Problem
from engine.events import AnyEvent
from engine.graph import Graph
from engine.input_schema import input_schema
from engine.parse import parse
from engine.plan import LookUp, Plan, make_plan
from engine.reading import Readable
from engine.run import run_plan
from engine.services import Services
from engine.values import Json
from nodes.values import Files
from nova_graph.cli.ndjson import event_tree
from nova_graph.http.budget import check_needs, check_size, check_values, check_written
from nova_graph.http.library import Library
from nova_graph.http.picture_size import picture_size
from nova_graph.http.settings import HttpSettings
from nova_graph.http.short import is_short
from nova_graph.http.uploads import Uploads
from nova_graph.runtime import Runtime
from nova_graph.service.backend import Answer
from nova_graph.service.event_text import picture_trees, tell_engine, text_of
from nova_graph.service.perform import plain_outputs

Out = TypeVar("Out")

CUSTOM = "custom"
"""What a graph is called that is not of the library."""

FILE = "graph"
"""The file name in messages about a graph that came over HTTP."""

THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A graph as it came: a name of the library, or a whole one; and the inputs for it."""

    name: str = ""
    tree: Readable = ""
    inputs: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ready:
    """A graph that can be run: settled and planned; `answer` where every result is there already."""

    name: str
    bound: Bound
    plan: Plan
    answer: Answer | None

    @property
    def document(self) -> dict[str, Json]:
        """The graph with everything settled, as the worker gets it."""
        return document(self.bound)

    @property
    def inputs(self) -> dict[str, Json]:
        """The inputs of this run, seeds drawn."""
        return {name: given.value for name, given in self.bound.inputs.items()}


class Desk:
    """Looks at graphs, in threads of its own, so that others need not wait while a large one is read."""

    def __init__(self, runtime: Runtime, library: Library, uploads: Uploads, settings: HttpSettings) -> None:
        self.runtime = runtime
        self.library = library
        self.uploads = uploads
        self.settings = settings
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="nova-graph desk")

    async def do(self, work: Callable[[], Out]) -> Out:
        """Do something that takes a while in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def check(self, owner: str, given: Given) -> tuple[int, tuple[Problem, ...]]:
        """Check a graph, with its inputs where some are given; returns how many nodes it has, and warnings.

        Raises NovaError, Trouble.
        """
        graph = self._graph(given)
        if given.inputs or all(declared.has_default for declared in graph.inputs.values()):
            return len(self._bind(self._services(owner), graph, given).nodes), graph.warnings
        return len(graph.nodes), check(graph, self.runtime.registry, opener=self.library.opener)

    async def plan(self, owner: str, given: Given) -> Ready:
        """Settle a graph, plan it, and answer it where nothing is left to compute; raises NovaError, Trouble."""
        if is_short(given.tree, given.inputs, self.runtime.registry):
            with suppress(OnDisk):
                return self.plan_here(owner, given, self.runtime.services.cache.get_held)
        return await self.do(lambda: self.plan_here(owner, given))

    def plan_here(self, owner: str, given: Given, look_up: LookUp | None = None) -> Ready:
        """Do in this thread what `plan` does; for `look_up` see `make_plan`."""
        services = self._services(owner)
        bound = self._bind(services, self._graph(given), given)
        plan = make_plan(bound, services, look_up)
        return Ready(given.name or CUSTOM, bound, plan, _answer(plan, services))

    def schema(self, name: str) -> dict[str, Json]:
        """Return the JSON Schema of what a graph of the library may be given; raises NovaError, Trouble."""
        return input_schema(self.library.graph(name), self.runtime.registry, opener=self.library.opener)

    def _graph(self, given: Given) -> Graph:
        if given.name:
            return self.library.graph(given.name)
        check_values(given.tree)
        nodes = given.tree.get("nodes") if isinstance(given.tree, dict) else None
        if isinstance(nodes, dict):
            check_size(len(nodes), self.settings)
        graph = parse(given.tree, FILE)
        check_written(graph, self.settings)
        return graph

    def _bind(self, services: Services, graph: Graph, given: Given) -> Bound:
        bound = bind(graph, self.runtime.registry, given.inputs, opener=self.library.opener)
        check_needs(bound, self.settings, lambda name: picture_size(services.assets, name))
        return bound

    def _services(self, owner: str) -> Services:
        services = self.runtime.services
        return replace(services, assets=self.uploads.assets_for(owner, services.assets))


def _answer(plan: Plan, services: Services) -> Answer | None:
    """Return what a graph gives where every value is in hand; running it then only passes the values on."""
    if plan.to_run or plan.pending:
        return None
    events: list[AnyEvent] = []
    _, outcome = run_plan(plan, services, on_event=events.append)
    files = tuple(file for value in outcome.outputs.values() if isinstance(value, Files) for file in value.files)
    last = {**event_tree(events.pop()), "outputs": plain_outputs(outcome.outputs), "pictures": picture_trees(files)}
    return Answer(files=files, events=(*map(tell_engine, events), text_of(last)), cached=len(plan.steps))
