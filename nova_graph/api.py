"""The Python face: `load` a graph, `plan` it, `run` the plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.bound import Bound
from engine.events import AnyEvent
from engine.plan import Plan as EnginePlan
from engine.plan import make_plan
from engine.run import run_plan
from engine.services import Cancel
from engine.telling import OnEvent
from engine.values import Json
from engine.why import ingredients_of, reasons
from nova_graph.graph_file import GraphFile, read_graph
from nova_graph.result import Result
from nova_graph.runtime import Runtime, local_runtime


@dataclass(frozen=True)
class Plan:
    """A graph with its inputs settled, and what of it must run."""

    name: str
    engine_plan: EnginePlan
    runtime: Runtime

    @property
    def reasons(self) -> dict[str, str]:
        """Why each node that will run must run."""
        return reasons(self.engine_plan, self.runtime.environment, self.runtime.history, self.name)


@dataclass(frozen=True)
class Graph(GraphFile):
    """A graph file and the runtime it will run on."""

    runtime: Runtime

    def plan(self, **inputs: Json) -> Plan:
        """Plan a run with these inputs; raises GraphErrors, AssetError."""
        return self.plan_with(inputs)

    def plan_with(self, inputs: Mapping[str, Json]) -> Plan:
        """Plan a run with inputs of any name; raises GraphErrors, AssetError."""
        return self.plan_bound(self.bind(inputs))

    def plan_bound(self, bound: Bound) -> Plan:
        """Plan a run of this graph as `bind` has settled it; raises AssetError."""
        return Plan(str(self.path.absolute()), make_plan(bound, self.runtime.services), self.runtime)


def load(path: str | Path, *, runtime: Runtime | None = None) -> Graph:
    """Read a graph file; raises GraphErrors with every mistake that shows without the inputs.

    Graphs loaded with one `runtime` share what is loaded and cached; without it the graph gets one of its own.
    """
    runtime = runtime or local_runtime()
    file = read_graph(Path(path), runtime.registry)
    return Graph(file.written, file.path, file.registry, runtime)


def run(plan: Plan, *, on_event: OnEvent | None = None, cancel: Cancel | None = None, previews: bool = False) -> Result:
    """Run a plan; `on_event` hears of everything as it happens. Raises AssetError, NodeError, Cancelled."""
    events: list[AnyEvent] = []

    def hear(event: AnyEvent) -> None:
        events.append(event)
        if on_event is not None:
            on_event(event)

    runtime = plan.runtime
    done, outcome = run_plan(plan.engine_plan, runtime.services, on_event=hear, cancel=cancel, previews=previews)
    if runtime.history is not None:
        runtime.history.remember(plan.name, ingredients_of(done, runtime.environment))
    runtime.services.cache.flush()
    return Result(outcome.outputs, tuple(events), done, runtime.environment.fingerprint)


async def arun(plan: Plan, *, on_event: OnEvent | None = None, previews: bool = False) -> Result:
    """Run a plan in a thread; cancelling the task stops the run between steps. `on_event` is called in that thread."""
    import asyncio

    cancel = Cancel()
    task = asyncio.create_task(asyncio.to_thread(run, plan, on_event=on_event, cancel=cancel, previews=previews))
    # Who cancels does not ask how the run ended; asyncio would complain of an error that nobody looked at.
    task.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        cancel.set()
        await asyncio.wait([task])
        raise
