"""`nova-graph run GRAPH --help`: the inputs of one graph."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.words import Words
from nova_graph.cli.flag_help import flag_rows
from nova_graph.cli.opening import Given, declared_inputs, open_graph_file

if TYPE_CHECKING:
    from nova_graph.graph_file import GraphFile


def print_inputs(given: Given) -> None:
    """Print what the graph is for and the flags of its inputs; raises UsageError, GraphErrors."""
    print_inputs_of(open_graph_file(given.path))


def print_inputs_of(graph: "GraphFile") -> None:
    """Print what a graph is for and the flags of its inputs; raises GraphErrors."""
    print_flags(graph.path.name, graph.written.description, declared_inputs(graph))


def print_flags(name: str, description: str, inputs: Mapping[str, Words]) -> None:
    """Print what a graph is for and the flags of these inputs."""
    from rich.console import Console
    from rich.text import Text

    from nova_graph.cli.printing import harmless
    from nova_graph.cli.tables import make_table

    console = Console(highlight=False)
    if description:
        console.print(Text(harmless(description), style="bold"))
    table = make_table(f"inputs of {name}", "", "")
    for flag, about, limits in flag_rows(inputs):
        table.add_row(Text(harmless(flag), style="cyan"), Text(harmless(about)), Text(harmless(limits), style="dim"))
    console.print(table)
