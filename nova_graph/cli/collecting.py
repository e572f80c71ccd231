"""What the commands for graphs have in common: collecting what the command line says."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nova_graph.cli.performing import perform

if TYPE_CHECKING:
    from nova_graph.cli.flags import Options
    from nova_graph.cli.ndjson import Lines
    from nova_graph.cli.opening import Given


def collect(
    ctx: typer.Context,
    path: Path | None,
    settings: list[str] | None,
    help_: bool,
    traceback: bool,
    *,
    is_graph: bool = True,
    url: str = "",
) -> "Given":
    """Collect what the command line says; `--help` prints the options and the graph's inputs, and ends here.

    The graph is in a picture unless `is_graph`. With `url`, it may be one that the service there knows by name.
    """
    from nova_graph.cli.exits import UsageError
    from nova_graph.cli.opening import Given

    if help_ or path is None:
        sys.stdout.write(f"{ctx.get_help()}\n\n")
        if path is None:
            raise typer.Exit(0 if help_ else 2)
        shown = Given(path)
        perform(lambda: _print_inputs(shown, is_graph, url), traceback)

    def misplaced() -> None:
        raise UsageError(
            f"{path} is not expected here", hint=f"Write `nova-graph {ctx.info_name} FILE` first, then inputs."
        )

    if str(path).startswith("-"):
        perform(misplaced, traceback)
    return Given(path, tuple(ctx.args), tuple(settings or ()), _options(ctx))


def _options(ctx: typer.Context) -> "Options":
    """Return the flags of this command, and those that only others have."""
    from nova_graph.cli.flags import Options

    own = tuple(flag for option in ctx.command.params for flag in option.opts if flag.startswith("--"))
    commands = getattr(ctx.parent.command, "commands", {}) if ctx.parent is not None else {}
    pairs = [(flag, name) for name, each in commands.items() for option in each.params for flag in option.opts]
    return Options(own, tuple((flag, name) for flag, name in pairs if flag not in own))


def _print_inputs(given: "Given", is_graph: bool, url: str) -> None:
    from nova_graph.cli.opening import is_graph_file

    if url and not is_graph_file(given.path):
        from nova_graph.cli.commands.submit import print_known_inputs

        print_known_inputs(str(given.path), url)
    elif is_graph:
        from nova_graph.cli.commands.inputs import print_inputs

        print_inputs(given)
    else:
        from nova_graph.cli.commands.rerun import print_picture_inputs

        print_picture_inputs(given)


def open_lines(as_json: bool, traceback: bool, *, previews: bool = False) -> "Lines | None":
    """Return what writes events to standard output as NDJSON, or None where that is not wanted."""
    from nova_graph.cli.ndjson import Lines
    from nova_graph.cli.printing import Printer

    def refuse_previews() -> None:
        from nova_graph.cli.exits import UsageError

        raise UsageError("--previews are pictures in the events of --json", hint="Add --json, or leave --previews out.")

    if as_json:
        return Lines(Printer().write, previews)
    if previews:
        perform(refuse_previews, traceback)
    return None
