"""`nova-graph models`: which weights there are, and models.lock."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from engine.assets import Report
from engine.errors import Cancelled
from engine.events import Fetching
from engine.services import Cancel
from nova_graph.cli.exits import UsageError
from nova_graph.cli.interrupt import stopping

if TYPE_CHECKING:
    from nodes.assets.inventory import Model

_STYLES = {"here": "green", "to download": "yellow", "missing": "red", "changed": "red", "refused": "red"}


def show_models() -> None:
    """Print what each name stands for and whether it is here."""
    from nodes.assets import LocalAssets, read_settings
    from nodes.assets.inventory import list_models
    from nova_graph.cli.reading import FirstReading

    _print(list_models(LocalAssets(read_settings(), reading=FirstReading(sys.stderr.write))))


def check_models() -> bool:
    """Compute the sha256 of every file in models.lock anew; returns whether all agree. Raises AssetError, Cancelled."""
    from nodes.assets import LocalAssets, read_settings
    from nodes.assets.inventory import verify_models

    with _reported("models.lock") as report:
        settings = read_settings()
        models = verify_models(LocalAssets(settings), report)
    if not models:
        sys.stdout.write(f"there are no names in {settings.models_lock}\n")
        return True
    _print(models)
    return all(model.state in ("here", "to download") for model in models)


def note_model(name: str, kind: str, place: str) -> None:
    """Add a file or an address to models.lock under a name. Raises UsageError, AssetError, Cancelled."""
    from nodes.assets import LocalAssets, read_settings
    from nodes.assets.inventory import add_model

    _check_kind(kind)
    settings = read_settings()
    with _reported(name) as report:
        entry = add_model(LocalAssets(settings, reading=report), name, kind, place, report)
    sys.stdout.write(f"{name} ({entry.kind}) is in {settings.models_lock}, sha256 {entry.sha256}\n")


def _check_kind(kind: str) -> None:
    from engine.problems import listed, nearest_name
    from nodes.assets.places import WEIGHTS

    if kind not in WEIGHTS:
        meant = nearest_name(kind, WEIGHTS)
        raise UsageError(
            f"--kind {kind} is no kind of weights",
            hint=f"Did you mean {meant}?" if meant else f"Write {listed(WEIGHTS)}.",
        )


def forget_model(name: str) -> None:
    """Take a name out of models.lock. Raises AssetError."""
    from nodes.assets import LocalAssets, read_settings
    from nodes.assets.inventory import remove_model

    settings = read_settings()
    remove_model(LocalAssets(settings), name)
    sys.stdout.write(f"{name} is no longer in {settings.models_lock}\n")


@contextmanager
def _reported(name: str) -> Iterator[Report]:
    """Show on a terminal how far downloads and files are; Ctrl-C stops them and leaves nothing half."""
    from rich.console import Console

    from nova_graph.cli.live import LiveProgress

    console = Console(stderr=True, highlight=False)
    cancel = Cancel()
    with stopping(cancel.set), LiveProgress(console) if console.is_terminal else nullcontext() as live:

        def report(done: int, total: int | None, what: str) -> None:
            if cancel.is_set:
                raise Cancelled
            if live is not None:
                live.show(Fetching(seconds=0.0, node=name, type="", done=done, total=total, what=what))

        yield report


def _print(models: "tuple[Model, ...]") -> None:
    from rich.console import Console
    from rich.text import Text

    from nova_graph.cli.tables import make_table

    table = make_table("kind", "name", "", "sha256", "what it is")
    for model in models:
        state = Text(model.state, style=_STYLES[model.state])
        table.add_row(model.kind, Text(model.name), state, model.sha256[:10], Text(model.how))
    Console(highlight=False).print(table)
