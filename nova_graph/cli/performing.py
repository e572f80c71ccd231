"""How every command is carried out: errors as text, then the exit code."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from nova_graph.cli.ndjson import Lines

Traceback = Annotated[bool, typer.Option("--traceback", help="Show where an error came from; so does NOVA_DEBUG=1.")]


def perform(action: Callable[[], bool | None], traceback: bool, lines: "Lines | None" = None) -> NoReturn:
    """Do it, print errors as text, and end with the exit code; False from `action` is a failure."""
    from nova_graph.cli.exits import FAILED
    from nova_graph.cli.guard import reporting

    with reporting(
        traceback=traceback or is_debugging(), on_error=lines.fail if lines is not None else None
    ) as outcome:
        if action() is False:
            outcome.code = FAILED
    raise typer.Exit(outcome.code)


def is_debugging() -> bool:
    """Tell whether NOVA_DEBUG asks to show where errors came from."""
    return os.environ.get("NOVA_DEBUG", "") not in ("", "0")
