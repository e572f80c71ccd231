"""From a graph as written to a graph in which everything is settled that can be settled without running."""

from collections.abc import Mapping
from random import Random, SystemRandom

from engine.bound import Bound
from engine.check import Checked, check_flat
from engine.errors import Problem
from engine.expand import Flat, expand
from engine.follow import Follower
from engine.graph import Graph
from engine.openers import Opener, refuse_includes
from engine.order import circles, in_order
from engine.problems import Problems
from engine.registry import Registry
from engine.settle import Settler, fill_inputs
from engine.targets import Types
from engine.values import Json


def bind(
    graph: Graph,
    registry: Registry,
    values: Mapping[str, Json] | None = None,
    *,
    opener: Opener = refuse_includes,
    rng: Random | None = None,
) -> Bound:
    """Settle a graph for one run: inputs, includes, conditions, types, literals.

    `values` are the inputs of this run by name; what they leave out has its default. `opener` finds included files.
    `rng` draws the seeds that are random; by default the operating system does. Raises GraphErrors with all problems.
    """
    problems = Problems()
    types = Types(registry)
    flat = expand(graph, registry, opener, problems)
    checked = check_flat(flat, types, problems)
    rng = rng if rng is not None else SystemRandom()
    inputs, given = fill_inputs(flat, checked, values or {}, problems, rng)
    problems.check()
    follower = Follower(flat, checked, given, problems, rng)
    settler = Settler(flat, checked, types, follower, problems)
    nodes = settler.settle()
    outputs = settler.outputs()
    problems.check()
    ordered = in_order(nodes)
    if len(ordered) < len(nodes):
        for problem in circles(nodes):
            problems.take(problem)
        problems.check()
    return Bound(ordered, outputs, inputs, graph.description, graph.file)


def check(graph: Graph, registry: Registry, *, opener: Opener = refuse_includes) -> tuple[Problem, ...]:
    """Check a graph without any values; returns the warnings of all its files, raises GraphErrors."""
    flat, _ = examine(graph, registry, opener)
    seen = {id(scope.graph): scope.graph for scope in flat.scopes}
    return tuple(warning for each in seen.values() for warning in each.warnings)


def examine(graph: Graph, registry: Registry, opener: Opener = refuse_includes) -> tuple[Flat, Checked]:
    """Expand and check a graph; raises GraphErrors."""
    problems = Problems()
    flat = expand(graph, registry, opener, problems)
    checked = check_flat(flat, Types(registry), problems)
    problems.check()
    return flat, checked
