"""`nova-graph run GRAPH --on modal`: the graph is checked here and runs in containers of the deployed app."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.bound import Bound, Literal
from engine.document import document
from engine.events import AnyEvent
from engine.values import Json
from nova_graph.cli.commands.run import close_display, display, print_outputs
from nova_graph.cli.commands.sweep import save_sheet
from nova_graph.cli.exits import UsageError
from nova_graph.cli.opening import Given, declared_inputs, given_inputs, open_graph, open_runtime
from nova_graph.cli.printing import say
from nova_graph.cli.saving import Saved, check_out, print_paths, save_outputs
from nova_graph.cli.summary import Summary
from nova_graph.cli.sweeping import Sweep, bind_runs, read_sweep

if TYPE_CHECKING:
    from nova_graph.cli.ndjson import Lines
    from nova_graph.modal.drawing import Remote


@dataclass(frozen=True, slots=True)
class CloudOptions:
    """Where pictures go, and inputs that take several values: `seed=1,2,3`."""

    out: Path
    sweeps: tuple[str, ...] = ()
    grid: bool = False
    """Save the pictures of all runs side by side too."""


def run_elsewhere(place: str, given: Given, options: CloudOptions, lines: "Lines | None") -> bool:
    """Run a graph in the place of that name; raises NovaError."""
    if place != "modal":
        raise UsageError(f"--on {place}: graphs cannot be run there", hint="Use local or modal.")
    return run_on_modal(given, options, lines)


def run_on_modal(given: Given, options: CloudOptions, lines: "Lines | None") -> bool:
    """Run a graph once, or once for every combination of the swept values; False where one of many failed.

    Raises NovaError.
    """
    from nova_graph.modal.client import deployed, modal_errors
    from nova_graph.modal.settings import read_cloud_settings

    settings = read_cloud_settings()
    sweep, bounds = _bounds(given, options.sweeps)
    check_out(bounds, options.out)
    documents = [document(bound) for bound in bounds]
    with modal_errors(settings):
        remote = deployed(settings)
        if not sweep.axes:
            _run_one(remote, documents[0], options.out, given.path.stem, lines)
            return True
        return _run_all(remote, documents, sweep, options, given.path.stem)


def _bounds(given: Given, sweeps: Sequence[str]) -> tuple[Sweep, list[Bound]]:
    """Settle the graph here for every run, so that a mistake starts no container; raises UsageError, GraphErrors."""
    with open_runtime(on_disk=False) as runtime:
        graph = open_graph(given.path, runtime)
        sweep = read_sweep(sweeps, declared_inputs(graph)) if sweeps else Sweep()
        bounds = bind_runs(graph, given_inputs(graph, given), sweep)
    for bound in bounds:
        _refuse_pictures(bound)
    return sweep, bounds


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

            drawn = draw(remote, tree, hear, say, previews=lines is not None and lines.previews)
        saved = save_outputs(drawn.groups, out, stem, datetime.now().astimezone())
    finally:
        close_display(summary, saved, lines)
    if lines is None and drawn.error is None:
        print_outputs({**drawn.groups, **drawn.outputs}, saved)
    say(cost_line(drawn))
    if drawn.error is not None:
        raise drawn.error


def _run_all(remote: "Remote", trees: list[dict[str, Json]], sweep: Sweep, options: CloudOptions, stem: str) -> bool:
    from nova_graph.modal.costs import cost_line, total_line
    from nova_graph.modal.drawing import Drawn, draw_all

    runs: list[Drawn] = []
    pictures: list[Path | None] = []
    try:
        with closing(draw_all(remote, trees, say)) as results:
            for number, drawn in enumerate(results, start=1):
                runs.append(replace(drawn, groups={}))
                saved = save_outputs(drawn.groups, options.out, stem, datetime.now().astimezone())
                pictures.append(saved[0].path if saved else None)
                print_paths(saved)
                told = f": {cost_line(drawn)}" if drawn.error is None else f" failed: {drawn.error}"
                say(f"{number} of {len(trees)}{told}")
    finally:
        if runs:
            say(total_line(runs))
            if len(runs) < len(trees):
                say(f"{len(trees) - len(runs)} runs were not over: what they took is not in it")
    if options.grid:
        save_sheet(sweep, pictures, options.out, stem)
    return all(drawn.error is None for drawn in runs)
