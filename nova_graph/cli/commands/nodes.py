"""`nova-graph nodes`: the node types there are."""

import difflib
import sys

from engine.declaration import Declaration
from engine.registry import Registry
from nova_graph.cli.exits import UsageError
from nova_graph.cli.node_help import PortHelp, flowing, input_help, markdown, node_rows, output_help
from nova_graph.cli.opening import every_node


def list_nodes(name: str | None, *, as_markdown: bool) -> None:
    """Print every node type, or one in full; raises UsageError where there is none of that name."""
    registry = every_node()
    if as_markdown:
        sys.stdout.write(markdown(registry))
    elif name is None:
        _print_all(registry)
    elif name in registry:
        _print_one(registry[name])
    else:
        close = difflib.get_close_matches(name, registry, n=1, cutoff=0.4)
        guess = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(f"there is no node type {name}{guess}", hint="`nova-graph nodes` lists them all.")


def _print_all(registry: Registry) -> None:
    from rich.console import Console

    from nova_graph.cli.tables import print_rows

    print_rows(Console(highlight=False), ("type", "what it does"), node_rows(registry))


def _print_one(declaration: Declaration) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(declaration.name, style="bold"))
    console.print(Text(flowing(declaration.doc)))
    _print_ports("input", input_help(declaration))
    _print_ports("output", output_help(declaration))


def _print_ports(title: str, ports: list[PortHelp]) -> None:
    from rich.console import Console

    from nova_graph.cli.tables import print_rows

    has_defaults = any(port.default for port in ports)
    head = (title, "type", "default", "") if has_defaults else (title, "type", "")
    rows = [
        (port.name, _type(port), *((port.default,) if has_defaults else ()), f"{port.description}{_choices(port)}")
        for port in ports
    ]
    print_rows(Console(highlight=False), head, rows)


def _type(port: PortHelp) -> str:
    return "choice" if port.choices else port.type


def _choices(port: PortHelp) -> str:
    return f" One of {', '.join(port.choices)}." if port.choices else ""
