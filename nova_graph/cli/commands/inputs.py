"""`nova-graph run GRAPH --help`: the inputs of one graph."""

from typing import TYPE_CHECKING

from nova_graph.cli.flag_help import flag_rows
from nova_graph.cli.opening import Given, declared_inputs, open_graph_file

if TYPE_CHECKING:
    from nova_graph.graph_file import GraphFile


def print_inputs(given: Given) -> None:
    """Print what the graph is for and the flags of its inputs; raises UsageError, GraphErrors."""
    print_inputs_of(open_graph_file(given.path))


def print_inputs_of(graph: "GraphFile") -> None:
    """Print what a graph is for and the flags of its inputs; raises GraphErrors."""
    from rich.console import Console
    from rich.text import Text

    from nova_graph.cli.printing import harmless
    from nova_graph.cli.tables import make_table

    console = Console(highlight=False)
    if graph.written.description:
        console.print(Text(harmless(graph.written.description), style="bold"))
    table = make_table(f"inputs of {graph.path.name}", "", "")
    for flag, description, limits in flag_rows(declared_inputs(graph)):
        table.add_row(Text(flag, style="cyan"), Text(harmless(description)), Text(harmless(limits), style="dim"))
    console.print(table)
