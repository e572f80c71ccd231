"""`nova-graph cache`: what was computed before, and where it is kept."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING

from nova_graph.cli.commands.graphs import count
from nova_graph.cli.opening import tell
from nova_graph.cli.plain import size

if TYPE_CHECKING:
    from engine.store import Store


def show_size() -> None:
    """Print the folder, how many results are in it, and how large they are."""
    store, folder, limit = _open()
    entries, used = store.usage()
    sys.stdout.write(f"{folder}\n{count(entries, 'result')}, {size(used)} of {size(limit)}\n")


def list_entries() -> None:
    """Print every result, last used first."""
    from rich.console import Console

    from nova_graph.cli.tables import make_table

    store, _, _ = _open()
    table = make_table("key", "size", "last used", "what", numbers=("size",))
    for entry in store.entries():
        used = datetime.fromtimestamp(entry.used).astimezone()
        table.add_row(entry.key[:12], size(entry.size), f"{used:%Y-%m-%d %H:%M}", entry.about)
    Console(highlight=False).print(table)


def clear() -> None:
    """Delete every result; models and pictures are left alone. Raises CacheError."""
    store, folder, _ = _open()
    sys.stdout.write(f"{count(store.clear(), 'result')} deleted from {folder}\n")


def verify() -> bool:
    """Read every result and check its digest; returns whether all are whole. Raises CacheError."""
    store, _, _ = _open()
    checked = list(store.verify())
    damaged = [entry for entry in checked if entry.problem]
    for entry in damaged:
        sys.stdout.write(f"{entry.key[:12]}  {entry.problem}\n")
    verdict = f"{len(damaged)} damaged; a damaged one counts as absent" if damaged else "all whole"
    sys.stdout.write(f"{count(len(checked), 'result')}, {verdict}\n")
    return not damaged


def _open() -> tuple["Store", str, int]:
    from engine.store import Store
    from nodes.assets import read_settings
    from nova_graph.options import read_options
    from nova_graph.runtime import results_folder

    folder, limit = results_folder(read_settings()), read_options().disk
    return Store(folder, limit, tell), str(folder), limit
