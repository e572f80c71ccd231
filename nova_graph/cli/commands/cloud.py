"""`nova-graph run GRAPH --on modal`: the graph is checked here and runs in containers of the deployed app."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.bound import Bound, Literal
from engine.document import document
from engine.events import AnyEvent
from engine.values import Json
from nova_graph.cli.commands.run import close_display, display, print_outputs
from nova_graph.cli.exits import UsageError
from nova_graph.cli.flags import read_settings
from nova_graph.cli.opening import Given, declared_inputs, given_inputs, open_graph, open_runtime
from nova_graph.cli.saving import Saved, check_out, save_outputs
from nova_graph.cli.summary import Summary

if TYPE_CHECKING:
    from nova_graph.api import Graph
    from nova_graph.cli.ndjson import Lines
    from nova_graph.modal.drawing import Remote

MOST = 1000
"""Runs of one sweep."""


@dataclass(frozen=True, slots=True)
class CloudOptions:
    """Where pictures go, and inputs that take several values: `seed=1,2,3`."""

    out: Path
    sweeps: tuple[str, ...] = ()


def run_elsewhere(place: str, given: Given, options: CloudOptions, lines: "Lines | None") -> bool:
    """Run a graph in the place of that name; raises NovaError."""
    if place != "modal":
        hint = "Leave --sweep out, or add --on modal." if place == "local" else "Use local or modal."
        raise UsageError(f"--on {place}: graphs cannot be swept or run there", hint=hint)
    if lines is not None and options.sweeps:
        raise UsageError("--json tells of one run; --sweep makes several", hint="Leave one of them out.")
    return run_on_modal(given, options, lines)


def run_on_modal(given: Given, options: CloudOptions, lines: "Lines | None") -> bool:
    """Run a graph once, or once for every combination of the swept values; False where one of many failed.

    Raises NovaError.
    """
    from nova_graph.modal.client import deployed, modal_errors
    from nova_graph.modal.settings import read_cloud_settings

    settings = read_cloud_settings()
    bounds = _bounds(given, options.sweeps)
    check_out(bounds, options.out)
    documents = [document(bound) for bound in bounds]
    with modal_errors(settings):
        remote = deployed(settings)
        if len(documents) == 1:
            _run_one(remote, documents[0], options.out, given.path.stem, lines)
            return True
        return _run_all(remote, documents, options.out, given.path.stem)


def _bounds(given: Given, sweeps: Sequence[str]) -> list[Bound]:
    """Settle the graph here for every run, so that a mistake starts no container; raises UsageError, GraphErrors."""
    with open_runtime(on_disk=False) as runtime:
        graph = open_graph(given.path, runtime)
        inputs = given_inputs(graph, given)
        runs = [{**inputs, **swept} for swept in _combinations(graph, sweeps)]
        bounds = [graph.bind(each) for each in runs]
    for bound in bounds:
        _refuse_pictures(bound)
    return bounds


def _combinations(graph: "Graph", sweeps: Sequence[str]) -> list[dict[str, Json]]:
    words = declared_inputs(graph) if sweeps else {}
    axes = []
    for sweep in sweeps:
        name, _, values = sweep.partition("=")
        axes.append([read_settings([f"{name}={value}"], words) for value in values.split(",")])
    found = [{name: value for part in parts for name, value in part.items()} for parts in product(*axes)]
    if len(found) > MOST:
        raise UsageError(f"--sweep makes {len(found)} runs; at most {MOST} are begun at once")
    return found


def _refuse_pictures(bound: Bound) -> None:
    for node in bound.nodes:
        for name, port in node.declaration.asset_inputs:
            binding: Any = node.bindings.get(name)
            is_picture = port.asset is not None and port.asset.kind == "image"
            if is_picture and isinstance(binding, Literal) and Path(str(binding.value)).is_file():
                raise UsageError(
                    f"{node.id}.{name}: {binding.value} is a picture of this machine, which containers do not see",
                    hint="Send it with `nova-graph submit --url ADDRESS`, the address that `modal deploy` prints.",
                )


def _run_one(remote: "Remote", tree: dict[str, Json], out: Path, stem: str, lines: "Lines | None") -> None:
    from nova_graph.modal.costs import cost_line
    from nova_graph.modal.drawing import draw

    summary = Summary()
    saved: tuple[Saved, ...] = ()
    try:
        with display(lines) as show:

            def hear(event: AnyEvent) -> None:
                summary.take(event)
                show(event)

            drawn = draw(remote, tree, hear, _say, previews=lines is not None and lines.previews)
        saved = save_outputs(drawn.groups, out, stem, datetime.now().astimezone())
    finally:
        close_display(summary, saved, lines)
    if lines is None and drawn.error is None:
        print_outputs({**drawn.groups, **drawn.outputs}, saved)
    _say(cost_line(drawn))
    if drawn.error is not None:
        raise drawn.error


def _run_all(remote: "Remote", trees: list[dict[str, Json]], out: Path, stem: str) -> bool:
    from nova_graph.modal.costs import cost_line, total_line
    from nova_graph.modal.drawing import Drawn, draw_all

    runs: list[Drawn] = []
    try:
        with closing(draw_all(remote, trees, _say)) as results:
            for number, drawn in enumerate(results, start=1):
                runs.append(replace(drawn, groups={}))
                if drawn.error is not None:
                    _say(f"{number} of {len(trees)} failed: {drawn.error}")
                    continue
                for picture in save_outputs(drawn.groups, out, stem, datetime.now().astimezone()):
                    sys.stdout.write(f"{picture.path}\n")
                sys.stdout.flush()
                _say(f"{number} of {len(trees)}: {cost_line(drawn)}")
    finally:
        if runs:
            _say(total_line(runs))
            if len(runs) < len(trees):
                _say(f"{len(trees) - len(runs)} runs were not over: what they took is not in it")
    return all(drawn.error is None for drawn in runs)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
