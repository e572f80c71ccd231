"""`nova-graph run GRAPH --help`: the inputs of one graph."""

from nova_graph.cli.flag_help import flag_rows
from nova_graph.cli.opening import Given, declared_inputs, open_graph_file


def print_inputs(given: Given) -> None:
    """Print what the graph is for and the flags of its inputs; raises UsageError, GraphErrors."""
    from rich.console import Console
    from rich.text import Text

    from nova_graph.cli.tables import make_table

    graph = open_graph_file(given.path)
    console = Console(highlight=False)
    if graph.written.description:
        console.print(Text(graph.written.description, style="bold"))
    table = make_table(f"inputs of {given.path.name}", "", "")
    for flag, description, limits in flag_rows(declared_inputs(graph)):
        table.add_row(Text(flag, style="cyan"), Text(description), Text(limits, style="dim"))
    console.print(table)
