"""Why each node of a plan must run: what differs from the graph's last run."""

import json
from collections.abc import Iterator, Mapping

from engine.bound import Binding, Literal, Reference
from engine.environment import Environment
from engine.history import History, Ingredients, explain
from engine.keys import is_default
from engine.plan import Plan, Step

_ASSET_WORDS = {"checkpoint": "weights"}


def ingredients_of(plan: Plan, environment: Environment) -> dict[str, Ingredients]:
    """Return what went into the key of every node of a plan."""
    keys = {step.id: step.key or "" for step in plan.steps}
    return {step.id: _ingredients(step, plan, keys, environment) for step in plan.steps}


def reasons(plan: Plan, environment: Environment, history: History | None, name: str) -> dict[str, str]:
    """Return, for every node that will run, why: "steps 25 -> 30", "encoder changed upstream", "never run before".

    `name` is the graph's name in the history.
    """
    before = history.last(name) if history is not None else {}
    now = ingredients_of(plan, environment)
    waiting = {pending.node.id: pending.fetchable.how for pending in plan.pending}
    return {
        step.id: _reason(step, before.get(step.id), now[step.id], waiting)
        for step in plan.steps
        if step.status == "run"
    }


def _reason(step: Step, before: Ingredients | None, now: Ingredients, waiting: Mapping[str, str]) -> str:
    if step.id in waiting:
        return f"must be downloaded first: {waiting[step.id]}"
    if step.unkeyable:
        return f"cannot be cached: {step.unkeyable}"
    if not step.node.declaration.cls.pure:
        return "gives another result every time"
    if step.key is None:
        return "follows a node whose result is not known yet"
    return explain(before, now)


def _ingredients(step: Step, plan: Plan, keys: Mapping[str, str], environment: Environment) -> Ingredients:
    declaration = step.node.declaration
    return Ingredients(
        type=declaration.name,
        version=declaration.version,
        literals=tuple(_literals(step)),
        upstream=tuple(_upstream(step, keys)),
        assets=tuple(_assets(step, plan)),
        environment=environment.key if declaration.device else "",
        key=step.key or "",
    )


def _literals(step: Step) -> Iterator[tuple[str, str]]:
    for name, port in step.node.declaration.ordered_inputs:
        binding = step.node.bindings.get(name)
        if port.asset is None and isinstance(binding, Literal) and not step.unkeyable and not is_default(binding, port):
            yield name, json.dumps(binding.value, ensure_ascii=False, default=str)


def _upstream(step: Step, keys: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, binding in sorted(step.node.bindings.items()):
        for reference in _references(binding):
            yield name, reference.node, keys[reference.node]


def _references(binding: Binding) -> tuple[Reference, ...]:
    if isinstance(binding, Reference):
        return (binding,)
    if isinstance(binding, Literal):
        return ()
    return tuple(item for item in binding.items if isinstance(item, Reference))


def _assets(step: Step, plan: Plan) -> Iterator[tuple[str, str]]:
    for name, port in step.node.declaration.asset_inputs:
        found = plan.found.get((step.id, name))
        if port.asset is not None and found is not None:
            yield _ASSET_WORDS.get(port.asset.kind, port.asset.kind), found.sha256
