"""`make bench`: measure, print ratios, keep the figures in benchmarks/results/."""

import json
import logging
import warnings
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import engine_cost, startup
from benchmarks.measure import machine
from benchmarks.trivial import BLOCK, SHAPES

RESULTS = Path(__file__).parent / "results"
PICTURES = 15
STARTS = 7


def main() -> None:
    """Run every benchmark."""
    console = Console()
    console.print(f"Machine: {machine()}\n")
    figures: dict[str, object] = {
        "machine": machine(),
        "startup": _startup(console),
        "engine": _engine(console),
        "run": _run(console),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "bench.json"
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    console.print(f"Figures kept in {path.relative_to(Path.cwd())}")


def _startup(console: Console) -> object:
    table = Table(title="Commands that only look (median seconds of a new process)")
    for column in ("command", "clock", "processor"):
        table.add_column(column, justify="left" if column == "command" else "right")
    starts = startup.measure(STARTS)
    for start in starts:
        table.add_row(start.name, f"{start.clock.median:.2f}", f"{start.processor.median:.2f}")
    console.print(table)
    return [asdict(start) for start in starts]


def _engine(console: Console) -> object:
    table = Table(title="The engine: microseconds per node of a trivial graph (least disturbed of several runs)")
    for column in ("shape", "nodes", "check", "plan and run, cold", "plan and run, cached"):
        table.add_column(column, justify="left" if column == "shape" else "right")
    costs = engine_cost.measure()
    for cost in costs:
        table.add_row(cost.shape, f"{cost.nodes:,}", f"{cost.check:.1f}", f"{cost.cold:.1f}", f"{cost.cached:.1f}")
    console.print(table)
    growth = {}
    for shape in SHAPES:
        cold = {cost.nodes: cost.cold for cost in costs if cost.shape == shape}
        growth[shape] = cold[max(cold)] / cold[sorted(cold)[-3]]
    console.print("Cost per node at about 5,000 nodes against about 100, 1 being linear growth: ", end="")
    console.print(", ".join(f"{shape} {ratio:.2f}" for shape, ratio in growth.items()))
    peaks = {size: engine_cost.peak_memory(size) for size in (500, 5000)}
    console.print(f"Peak memory of a chain whose nodes make 64 KiB each: {peaks[500]:.1f} MiB at 500 nodes, ", end="")
    console.print(f"{peaks[5000]:.1f} MiB at 5,000, where {5000 * BLOCK / 2**20:.0f} MiB pass through\n")
    return {"per_node": [asdict(cost) for cost in costs], "growth": growth, "peak_mib": peaks}


def _run(console: Console) -> object:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from benchmarks import whole_run

    result = whole_run.measure(PICTURES)
    console.print(f"One picture, {whole_run.STEPS} steps, {whole_run.SIDE} px, nova-nano, warm (median of {PICTURES}):")
    console.print(f"  diffusers' pipeline by hand   {result.by_hand.median * 1e3:8.1f} ms")
    console.print(f"  nova-graph                    {result.nova_graph.median * 1e3:8.1f} ms   {result.overhead:+.1%}")
    console.print(f"  nova-graph, full hit          {result.full_hit.median * 1e3:8.1f} ms\n")
    return {**asdict(result), "overhead": result.overhead}


if __name__ == "__main__":
    main()
