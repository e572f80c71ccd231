"""`nova-graph check`, `plan`, `schema` and `show`: a graph looked at, not run."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.values import Json
from engine.words import RANDOM, Words, types_of
from nova_graph.cli.exits import UsageError
from nova_graph.cli.opening import (
    Given,
    declared_inputs,
    every_node,
    given_inputs,
    open_graph,
    open_graph_file,
    open_runtime,
)

if TYPE_CHECKING:
    from engine.plan import Step
    from nova_graph.api import Plan


def check_graph(given: Given) -> None:
    """Check a graph, without values for its inputs and then with those given and the defaults.

    A graph with an input that needs a value is checked without any unless one is given. Raises GraphErrors with all
    mistakes.
    """
    graph = open_graph_file(given.path)
    warnings = graph.check()
    inputs = given_inputs(graph, given)
    if inputs or all(declared.has_default for declared in graph.written.inputs.values()):
        graph.bind(inputs)
    for warning in warnings:
        sys.stderr.write(f"{warning}\n")
    found = f", {count(len(warnings), 'warning')}" if warnings else ""
    sys.stdout.write(f"{given.path}: {count(len(graph.written.nodes), 'node')}, no errors{found}\n")


def plan_graph(given: Given, device: str, *, as_json: bool) -> None:
    """Say of each node whether its result is there, or why it will run; raises GraphErrors, AssetError."""
    with open_runtime(device=device) as runtime:
        graph = open_graph(given.path, runtime)
        plan = graph.plan_with(given_inputs(graph, given))
        reasons = plan.reasons
        rows = [_row(step, reasons.get(step.id, "")) for step in plan.engine_plan.steps]
        if as_json:
            sys.stdout.write(json.dumps({"nodes": rows}, indent=2) + "\n")
            return
        _print_plan(plan, rows)


def print_schema(path: Path | None) -> None:
    """Print the JSON Schema of graph files, or of the inputs of one graph; raises GraphErrors."""
    from engine.input_schema import input_schema
    from engine.schema import graph_schema

    if path is None:
        schema = graph_schema(every_node())
    else:
        graph = open_graph_file(path)
        schema = input_schema(graph.written, graph.registry, opener=graph.opener)
    sys.stdout.write(json.dumps(schema, indent=2) + "\n")


def show_graph(given: Given, form: str, out: Path | None) -> None:
    """Write a graph as Mermaid or SVG to a file or standard output; raises GraphErrors, UsageError."""
    from nova_graph.cli.show import diagram_of, mermaid_text, svg_text

    graph = open_graph_file(given.path)
    declared = declared_inputs(graph)
    inputs = {**_placeholders(declared), **given_inputs(graph, given)}
    random = {name: RANDOM for name, words in declared.items() if inputs.get(name, words.get("default")) == RANDOM}
    diagram = diagram_of(graph.bind(inputs), given.path.name, random)
    text = svg_text(diagram) if form == "svg" else mermaid_text(diagram)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", hint="Name another file with --out.") from error
    sys.stdout.write(f"{out}\n")


def _placeholders(inputs: Mapping[str, Words]) -> dict[str, Json]:
    """Return something to draw for texts that a run would have to be given."""
    return {
        name: f"<{name}>"
        for name, words in inputs.items()
        if "default" not in words and types_of(words) == ("string",) and "enum" not in words
    }


def count(number: int, noun: str) -> str:
    """Return a number and its noun: `1 node`, `3 nodes`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def _row(step: "Step", reason: str) -> dict[str, Json]:
    why = reason if step.twin is None else f"the same as {step.twin}"
    return {"node": step.id, "type": step.type, "status": step.status, "why": why, "key": step.key}


def _print_plan(plan: "Plan", rows: list[dict[str, Json]]) -> None:
    from rich.console import Console
    from rich.text import Text

    from nova_graph.cli.summary import told
    from nova_graph.cli.tables import make_table

    console = Console(highlight=False)
    table = make_table("node", "type", "", "why")
    for row in rows:
        runs = row["status"] == "run"
        state = "will run" if runs else told(row["status"])  # type: ignore[arg-type]
        table.add_row(
            str(row["node"]),
            Text(str(row["type"]), style="dim"),
            Text(state, style="yellow" if runs else "green"),
            Text(str(row["why"])),
        )
    console.print(table)
    console.print(f"{count(len(plan.engine_plan.to_run), 'node')} to run of {len(rows)}")
    for pending in plan.engine_plan.pending:
        console.print(f"{pending.node.id} must download first: {pending.fetchable.how}", markup=False)
