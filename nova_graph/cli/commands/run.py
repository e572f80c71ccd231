"""`nova-graph run`: draw, and save the pictures."""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from engine.bound import Bound
from engine.events import AnyEvent
from engine.services import Cancel
from nova_graph.cli.interrupt import stopping
from nova_graph.cli.opening import Given, given_inputs, open_graph, open_runtime
from nova_graph.cli.printing import say
from nova_graph.cli.saving import Saved, check_out, print_paths, save_outputs
from nova_graph.cli.summary import Summary

if TYPE_CHECKING:
    from nova_graph.api import Plan
    from nova_graph.cli.ndjson import Lines
    from nova_graph.result import Result

Show = Callable[[AnyEvent], None]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run: where pictures go, how events are shown, on what device, with the cache folder or without."""

    out: Path
    device: str = ""
    use_cache: bool = True


def run_graph(given: Given, options: RunOptions, lines: "Lines | None") -> None:
    """Run a graph; events go to `lines` as NDJSON, or to the terminal. Raises NovaError."""
    with open_runtime(device=options.device, on_disk=options.use_cache) as runtime:
        graph = open_graph(given.path, runtime)
        plan = graph.plan_with(given_inputs(graph, given))
        draw_and_save(plan, options.out, given.path.stem, lines)


def draw_and_save(plan: "Plan", out: Path, stem: str, lines: "Lines | None") -> None:
    """Run a plan, save its pictures and say where they are; the last line or the table comes in any case."""
    summary = Summary()
    saved: tuple[Saved, ...] = ()
    check_out([plan.engine_plan.bound], out)
    try:
        with display(lines) as show:
            for text in weights_of(plan):
                say(text)
            if lines is None:
                print_seeds(plan.engine_plan.bound)
            result = follow(plan, summary, show, previews=lines is not None and lines.previews)
        saved = save_outputs(result.files_by_output, out, stem, datetime.now().astimezone())
    finally:
        close_display(summary, saved, lines)
    if lines is None:
        print_outputs(result.outputs, saved)


def follow(plan: "Plan", summary: Summary, show: Show, *, previews: bool = False) -> "Result":
    """Run a plan, passing its events on; Ctrl-C stops it between steps. Raises AssetError, NodeError, Cancelled.

    What nodes print goes to standard error: standard output has nothing but paths, or NDJSON.
    """
    from nova_graph.api import run

    cancel = Cancel()

    def hear(event: AnyEvent) -> None:
        summary.take(event)
        show(event)

    def stop() -> None:
        cancel.set()
        sys.stderr.write("\nStopping after this step; press Ctrl-C again to stop at once.\n")

    with stopping(stop), redirect_stdout(sys.stderr):
        return run(plan, on_event=hear, cancel=cancel, previews=previews)


@contextmanager
def display(lines: "Lines | None") -> Iterator[Show]:
    """Give what shows events: lines as NDJSON, bars on a terminal, plain lines otherwise."""
    if lines is not None:
        yield lines.show
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        from nova_graph.cli.live import LiveProgress

        with LiveProgress(console) as live:
            yield live.show
    else:
        from nova_graph.cli.plain import PlainLines

        yield PlainLines(sys.stderr.write).show


def weights_of(plan: "Plan") -> tuple[str, ...]:
    """Return lines that tell where the weights that a run uses come from."""
    engine = plan.engine_plan
    found = (each for each in engine.found.values() if each.path is not None)
    told = dict.fromkeys(f"{each.asset.kind}: {each.how or each.path}" for each in found)
    told |= dict.fromkeys(f"{each.fetchable.asset.kind}: {each.fetchable.how}" for each in engine.pending)
    return tuple(told)


def print_seeds(bound: Bound, *, besides: Collection[str] = ()) -> None:
    """Say on standard error which seeds a run uses, but for inputs in `besides`; NDJSON has them with the pictures."""
    for given in bound.inputs.values():
        if given.schema.get("type") == "seed" and given.name not in besides:
            say(f"{given.name}: {given.value}")


def close_display(summary: Summary, saved: tuple[Saved, ...], lines: "Lines | None") -> None:
    """Show what comes last: the event `done`, or the table."""
    if summary.done is None:
        return
    if lines is not None:
        lines.close(summary.done, saved)
        return
    from rich.console import Console

    from nova_graph.cli.tables import summary_line, summary_table

    console = Console(stderr=True, highlight=False)
    console.print(summary_table(summary))
    console.print(summary_line(summary))


def say_summary(summary: Summary) -> None:
    """Say in one line how a run ended that is one of several."""
    from nova_graph.cli.tables import summary_line

    if summary.done is not None:
        say(summary_line(summary))


def print_outputs(outputs: Mapping[str, object], saved: tuple[Saved, ...]) -> None:
    """Print the paths of pictures, and the outputs that are plain values; the rest stays in the graph."""
    print_paths(saved)
    plain = {name: value for name, value in outputs.items() if isinstance(value, str | int | float)}
    for name, value in plain.items():
        sys.stdout.write(f"{name}: {value}\n")
    if not saved and not plain:
        names = ", ".join(outputs) or "none"
        sys.stderr.write(f"No picture to save: no output of the graph ({names}) comes from a Serializer.\n")
