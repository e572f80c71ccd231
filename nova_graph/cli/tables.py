"""Tables on a terminal."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nova_graph.cli.summary import Row, Summary, told

_STYLES = {"ran": "green", "failed": "red", "stopped": "yellow", "waiting": "dim"}


def make_table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """Return an empty table; the columns in `numbers` are set flush right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def summary_table(summary: Summary) -> Table:
    """Return what each node did, and how long it took."""
    table = make_table("node", "type", "", "seconds", numbers=("seconds",))
    for row in summary.rows.values():
        style = _STYLES.get(row.state, "cyan")
        took = "" if row.seconds is None else f"{row.seconds:.2f}"
        table.add_row(escape(row.node), Text(row.type, style="dim"), Text(_state(row), style=style), took)
    return table


def summary_line(summary: Summary) -> str:
    """Return the run in one line: `3 ran, 5 cached, 1.42 s`."""
    others = [row for row in summary.rows.values() if row.state not in ("ran", "waiting")]
    failed = sum(row.state == "failed" for row in others)
    stopped = sum(row.state == "stopped" for row in others)
    parts = [f"{summary.ran} ran", f"{len(others) - failed - stopped} cached"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{stopped} stopped"] if stopped else []
    return ", ".join([*parts, f"{summary.seconds:.2f} s"])


def print_rows(console: Console, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table of plain texts."""
    table = make_table(*head)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def _state(row: Row) -> str:
    if row.state in ("failed", "stopped") and row.total:
        return f"{row.state} at step {row.step} of {row.total}"
    return told(row.state)
