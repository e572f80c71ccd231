"""What the engine costs per node: reading, binding, planning, running, and running again when all is cached."""

import gc
import time
import tracemalloc
from dataclasses import dataclass

from benchmarks.trivial import SHAPES, Tree, carrying_chain, trivial
from engine.bind import bind
from engine.bound import Bound
from engine.cache import Cache
from engine.execute import execute
from engine.memory import Memory
from engine.pacer import Pacer
from engine.parse import parse
from engine.plan import make_plan
from engine.registry import Registry
from engine.services import Services

SIZES = (10, 100, 1000, 5000)
REPEATS = 7
HITS = 5
"""Full hits in a row; small graphs' first one still finds the processor's caches full of the cold run."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds per node of one graph; the least disturbed of several runs."""

    shape: str
    nodes: int
    check: float
    """Parse and bind a graph that came as JSON."""
    cold: float
    """Plan and run with an empty cache."""
    cached: float
    """Plan and run again: a full hit."""


def measure() -> list[Cost]:
    """Measure every shape at every size."""
    registry, pacer = trivial(), Pacer()
    return [_cost(shape, size, registry, pacer) for shape in SHAPES for size in SIZES]


def _cost(shape: str, size: int, registry: Registry, pacer: Pacer) -> Cost:
    tree = SHAPES[shape](size)
    nodes = len(tree["nodes"]) if isinstance(tree["nodes"], dict) else 0
    rows = [_once(tree, registry, pacer) for _ in range(REPEATS)]
    check, cold, cached = (min(column) / nodes * 1e6 for column in zip(*rows, strict=True))
    return Cost(shape, nodes, check, cold, cached)


def _once(tree: Tree, registry: Registry, pacer: Pacer) -> tuple[float, float, float]:
    gc.collect()
    began = time.perf_counter()
    bound = bind(parse(tree), registry, {})
    checked = time.perf_counter()
    services = Services(cache=Cache(Memory(1 << 30), None, lambda _: None), pacer=pacer)
    cold = _timed(bound, services)
    return checked - began, cold, min(_timed(bound, services) for _ in range(HITS))


def _timed(bound: Bound, services: Services) -> float:
    began = time.perf_counter()
    _run(bound, services)
    return time.perf_counter() - began


def _run(bound: Bound, services: Services) -> None:
    execute(make_plan(bound, services), services, on_event=lambda _: None)


def peak_memory(size: int) -> float:
    """Return the peak of Python's memory in MiB while a chain of nodes runs that make 64 KiB each."""
    bound = bind(parse(carrying_chain(size)), trivial(), {})
    services = Services(cache=Cache(Memory(1 << 20), None, lambda _: None))
    plan = make_plan(bound, services)
    tracemalloc.start()
    execute(plan, services, on_event=lambda _: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20
