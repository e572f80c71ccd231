"""`nova-graph run GRAPH --sweep`: one run after the other, all in one process, with the models loaded once."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import Cancelled, NovaError
from nova_graph.cli.commands.graphs import count
from nova_graph.cli.commands.run import RunOptions, display, follow, print_seeds, say_summary, weights_of
from nova_graph.cli.exits import OutputLost
from nova_graph.cli.opening import Given, declared_inputs, given_inputs, open_graph, open_runtime
from nova_graph.cli.printing import say
from nova_graph.cli.saving import check_out, print_paths, save_files, save_outputs
from nova_graph.cli.summary import Summary
from nova_graph.cli.sweeping import Sweep, bind_runs, read_sweep

if TYPE_CHECKING:
    from nova_graph.api import Plan


def run_sweep(given: Given, options: RunOptions, sweeps: Sequence[str], *, grid: bool) -> bool:
    """Run a graph once for every combination of the swept values; False where one of them failed.

    Mistakes in any of them, and files that are not there, are found before the first begins; one that fails later
    spoils no other. With `grid`, a sheet with all pictures is saved at the end. Raises NovaError.
    """
    with open_runtime(device=options.device, on_disk=options.use_cache) as runtime:
        graph = open_graph(given.path, runtime)
        sweep = read_sweep(sweeps, declared_inputs(graph))
        bounds = bind_runs(graph, given_inputs(graph, given), sweep)
        check_out(bounds, options.out)
        for text in dict.fromkeys(text for bound in bounds for text in weights_of(graph.plan_bound(bound))):
            say(text)
        print_seeds(bounds[0], besides=[axis.name for axis in sweep.axes])
        pictures: list[Path | None] = []
        failed = 0
        for number, (bound, labels) in enumerate(zip(bounds, sweep.labels, strict=True), start=1):
            say(f"{number} of {len(bounds)}: {', '.join(labels)}")
            try:
                pictures.append(_run_one(graph.plan_bound(bound), options, given.path.stem))
            except (Cancelled, OutputLost):
                say(f"{len(bounds) - number + 1} of {len(bounds)} runs were not done; what was is in the cache")
                raise
            except NovaError as error:
                pictures.append(None)
                failed += 1
                say(f"{number} of {len(bounds)} failed: {error}")
    if grid:
        save_sheet(sweep, pictures, options.out, given.path.stem)
    say(f"{count(len(bounds), 'run')}, {failed} failed")
    return not failed


def save_sheet(sweep: Sweep, pictures: Sequence[Path | None], out: Path, stem: str) -> None:
    """Save the pictures of a sweep side by side and print where; nothing without pictures. Raises OutputLost."""
    from nova_graph.cli.contact_sheet import contact_sheet

    if not any(pictures):
        return
    try:
        sheet = contact_sheet(sweep, pictures)
    except OSError as error:
        raise OutputLost(f"the pictures of the sweep cannot be read again for --grid: {error}") from error
    print_paths(save_files([sheet], out, f"{stem}-grid", datetime.now().astimezone()))


def _run_one(plan: "Plan", options: RunOptions, stem: str) -> Path | None:
    """Run once, save the pictures, print where they are, and return the first."""
    summary = Summary()
    try:
        with display(None) as show:
            result = follow(plan, summary, show)
    finally:
        say_summary(summary)
    saved = save_outputs(result.files_by_output, options.out, stem, datetime.now().astimezone())
    print_paths(saved)
    return saved[0].path if saved else None
