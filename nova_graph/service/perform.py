"""One job in a worker: from a graph as JSON to pictures."""

import gc
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine import Registry, bind, parse
from engine.errors import Cancelled, NodeError, NovaError
from engine.plan import make_plan
from engine.run import run_plan
from engine.services import Services
from engine.values import Json
from nodes.values import File, Files
from nova_graph.runtime import Runtime
from nova_graph.service.event_text import picture_trees, tell
from nova_graph.service.failures import is_device_lost, is_out_of_memory
from nova_graph.service.inbox import Inbox, Task
from nova_graph.service.outbox import Outbox

_log = logging.getLogger(__name__)

TILE: Final = 512
"""Tile edge in pixels for nodes that can work in tiles, once memory has run out."""

MAX_TEXT: Final = 100_000
"""Characters of an output that is told in the last event."""

MAX_ERROR: Final = 20_000
"""Characters of an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a job ended; `memory`: because there was too little of it, `lost`: because the device has failed."""

    outcome: Literal["ok", "failed", "cancelled"]
    error: str = ""
    memory: bool = False
    lost: bool = False
    files: tuple[File, ...] = ()
    outputs: Mapping[str, Json] | None = None


def perform(task: Task, runtime: Runtime, services: Services, outbox: Outbox, inbox: Inbox) -> bool:
    """Run a job and tell what comes of it; whatever the job does, this returns: False where the device has failed.

    A job that was stopped because the worker must end is not told to have ended: it will run again.
    """
    outbox.begin(task.job, task.most_events, task.most_event_bytes)
    ended = _try(task, runtime, services, outbox)
    inbox.forget(task)
    if ended.outcome == "cancelled" and inbox.closed:
        return True
    done = outbox.done()
    header: dict[str, Json] = {
        "outcome": ended.outcome,
        "error": ended.error,
        "memory": ended.memory,
        "cached": done.cached if done else 0,
        "ran": done.ran if done else 0,
        "seconds": done.seconds if done else 0.0,
        "outputs": dict(ended.outputs or {}),
        "files": picture_trees(ended.files),
    }
    outbox.end(header, [file.data for file in ended.files])
    return not ended.lost


def _try(task: Task, runtime: Runtime, services: Services, outbox: Outbox) -> Ended:
    try:
        return _run(task, runtime, services, outbox)
    except Cancelled:
        return Ended(outcome="cancelled")
    except NodeError as error:
        return _failed(error, error.message)
    except NovaError as error:
        ended = _failed(error, str(error))
    except MemoryError as error:
        ended = _failed(error, "out of memory")
    except BaseException as error:  # noqa: BLE001 - a job may fail, its worker must not
        _log.exception("a job failed in an unexpected way")
        ended = _failed(error, f"{type(error).__name__}: {error}")
    outbox.say(tell("error", error=ended.error))
    return ended


def _failed(error: BaseException, told: str) -> Ended:
    is_full, is_lost = is_out_of_memory(error), is_device_lost(error)
    return Ended(outcome="failed", error=told[:MAX_ERROR], memory=is_full, lost=is_lost)


def _run(task: Task, runtime: Runtime, services: Services, outbox: Outbox) -> Ended:
    tree = json.loads(task.document)
    if task.careful:
        services.cache.memory.clear()
        runtime.pool.clear()
        gc.collect()
        tree = in_tiles(tree, runtime.registry)
    plan = make_plan(bind(parse(tree), runtime.registry), services)
    _, outcome = run_plan(plan, services, on_event=outbox.hear, cancel=task.cancel, previews=True)
    files = tuple(file for value in outcome.outputs.values() if isinstance(value, Files) for file in value.files)
    size = sum(len(file.data) for file in files)
    if size > task.most_result_bytes:
        error = f"the pictures have {size:,} bytes together; at most {task.most_result_bytes:,} are kept"
        outbox.say(tell("error", error=error))
        return Ended(outcome="failed", error=error)
    return Ended(outcome="ok", files=files, outputs=plain_outputs(outcome.outputs))


def plain_outputs(outputs: Mapping[str, object]) -> dict[str, Json]:
    """Return those outputs of a run that are numbers, truth values or texts, as JSON."""
    plain: dict[str, Json] = {}
    for name, value in outputs.items():
        if value is None or isinstance(value, bool | int | float):
            plain[name] = value
        elif isinstance(value, str):
            plain[name] = value[:MAX_TEXT]
    return plain


def in_tiles(tree: dict[str, Any], registry: Registry) -> dict[str, Any]:
    """Return a graph whose nodes work in tiles wherever they can and do not say otherwise."""
    nodes = {name: _node_in_tiles(node, registry) for name, node in tree.get("nodes", {}).items()}
    return {**tree, "nodes": nodes}


def _node_in_tiles(node: dict[str, Any], registry: Registry) -> dict[str, Any]:
    declaration = registry.get(node.get("type", ""))
    inputs = node.get("inputs", {})
    if declaration is None or "tile" not in declaration.inputs or inputs.get("tile") is not None:
        return node
    return {**node, "inputs": {**inputs, "tile": TILE}}
