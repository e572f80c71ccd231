"""The commands and their options; what they do is imported when it is called for."""

# ruff: noqa: PLR0913, PLR0917 - the parameters of a command are its options.

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nova_graph.cli.groups import cache, models
from nova_graph.cli.performing import Traceback, perform

if TYPE_CHECKING:
    from nova_graph.cli.ndjson import Lines
    from nova_graph.cli.opening import Given

_HELP_NAMES = ["--help", "-h"]
_OPEN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

GraphFile = Annotated[
    Path | None, typer.Argument(metavar="GRAPH [--any-input VALUE]...", help="A graph file.", show_default=False)
]
Picture = Annotated[Path | None, typer.Argument(metavar="IMAGE [--any-input VALUE]...", help="A picture of ours.")]
Help = Annotated[bool, typer.Option("--help", "-h", help="Show this, and the inputs of GRAPH.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set an input by its name.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda or mps.", show_default=False)]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for the pictures.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print events as NDJSON, one object a line.")]
Previews = Annotated[bool, typer.Option("--previews", help="With --json: pictures of work in progress, as base64.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache folder.")]
OUTPUTS = Path("outputs")

app = typer.Typer(
    name="nova-graph",
    help="Draw SDXL anime pictures from graphs of typed nodes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": _HELP_NAMES},
)
app.add_typer(cache, name="cache")
app.add_typer(models, name="models")


@app.command(context_settings=_OPEN, options_metavar="")
def run(
    ctx: typer.Context,
    graph: GraphFile = None,
    settings: Settings = None,
    out: Out = OUTPUTS,
    device: Device = "",
    json: AsJson = False,
    previews: Previews = False,
    no_cache: NoCache = False,
    traceback: Traceback = False,
    help_: Help = False,
) -> None:
    """Run a graph and save its pictures. The graph's inputs are flags: --prompt TEXT, --seed 7, --no-face."""
    from nova_graph.cli.commands.run import RunOptions, run_graph

    given = _given(ctx, graph, settings, help_, traceback)
    lines = _lines(previews) if json else None
    perform(lambda: run_graph(given, RunOptions(out, device, not no_cache), lines), traceback, lines)


@app.command(context_settings=_OPEN, options_metavar="")
def check(
    ctx: typer.Context,
    graph: GraphFile = None,
    settings: Settings = None,
    traceback: Traceback = False,
    help_: Help = False,
) -> None:
    """Check a graph and run nothing."""
    from nova_graph.cli.commands.graphs import check_graph

    given = _given(ctx, graph, settings, help_, traceback)
    perform(lambda: check_graph(given), traceback)


@app.command(context_settings=_OPEN, options_metavar="")
def plan(
    ctx: typer.Context,
    graph: GraphFile = None,
    settings: Settings = None,
    device: Device = "",
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    traceback: Traceback = False,
    help_: Help = False,
) -> None:
    """Say which nodes would run and why, and run nothing."""
    from nova_graph.cli.commands.graphs import plan_graph

    given = _given(ctx, graph, settings, help_, traceback)
    perform(lambda: plan_graph(given, device, as_json=json), traceback)


@app.command(context_settings=_OPEN, options_metavar="")
def show(
    ctx: typer.Context,
    graph: GraphFile = None,
    settings: Settings = None,
    svg: Annotated[bool, typer.Option("--svg", help="SVG instead of Mermaid text.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to a file; .svg means SVG.")] = None,
    traceback: Traceback = False,
    help_: Help = False,
) -> None:
    """Draw the graph itself, as Mermaid text or SVG."""
    from nova_graph.cli.commands.graphs import show_graph

    given = _given(ctx, graph, settings, help_, traceback)
    form = "svg" if svg or (out is not None and out.suffix == ".svg") else "mermaid"
    perform(lambda: show_graph(given, form, out), traceback)


@app.command(context_settings=_OPEN, options_metavar="")
def rerun(
    ctx: typer.Context,
    image: Picture = None,
    verify: Annotated[bool, typer.Option("--verify", help="Save nothing; compare the pixels.")] = False,
    settings: Settings = None,
    out: Out = OUTPUTS,
    device: Device = "",
    json: AsJson = False,
    no_cache: NoCache = False,
    traceback: Traceback = False,
    help_: Help = False,
) -> None:
    """Run the graph that a picture carries again; the inputs may be changed."""
    from nova_graph.cli.commands.rerun import rerun_picture, verify_picture
    from nova_graph.cli.commands.run import RunOptions

    given = _given(ctx, image, settings, help_, traceback, is_graph=False)
    if verify:
        perform(lambda: verify_picture(given, device), traceback)
    lines = _lines(previews=False) if json else None
    perform(lambda: rerun_picture(given, RunOptions(out, device, not no_cache), lines), traceback, lines)


@app.command()
def nodes(
    name: Annotated[str | None, typer.Argument(help="One node type, in full.", show_default=False)] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="All of them in full, as docs/nodes.md.")] = False,
    traceback: Traceback = False,
) -> None:
    """List the node types, or describe one."""
    from nova_graph.cli.commands.nodes import list_nodes

    perform(lambda: list_nodes(name, as_markdown=markdown), traceback)


@app.command()
def schema(
    graph: Annotated[Path | None, typer.Argument(help="A graph: the schema of its inputs.", show_default=False)] = None,
    traceback: Traceback = False,
) -> None:
    """Print the JSON Schema of graph files, for editors; or of a graph's inputs."""
    from nova_graph.cli.commands.graphs import print_schema

    perform(lambda: print_schema(graph), traceback)


@app.command("help")
def show_help(ctx: typer.Context) -> None:
    """Show the commands, as --help does."""
    if ctx.parent is not None:
        sys.stdout.write(f"{ctx.parent.get_help()}\n")


def _given(
    ctx: typer.Context,
    path: Path | None,
    settings: list[str] | None,
    help_: bool,
    traceback: bool,
    *,
    is_graph: bool = True,
) -> "Given":
    """Collect what the command line says; `--help` prints the options and the graph's inputs, and ends here."""
    from nova_graph.cli.exits import UsageError
    from nova_graph.cli.opening import Given

    if help_ or path is None:
        sys.stdout.write(f"{ctx.get_help()}\n\n")
        if path is None or not is_graph:
            raise typer.Exit(0 if help_ else 2)
        shown = Given(path)
        perform(lambda: _print_inputs(shown), traceback)

    def misplaced() -> None:
        raise UsageError(
            f"{path} is not expected here", hint=f"Write `nova-graph {ctx.info_name} FILE` first, then inputs."
        )

    if str(path).startswith("-"):
        perform(misplaced, traceback)
    return Given(path, tuple(ctx.args), tuple(settings or ()))


def _print_inputs(given: "Given") -> None:
    from nova_graph.cli.commands.inputs import print_inputs

    print_inputs(given)


def _lines(previews: bool) -> "Lines":
    from nova_graph.cli.ndjson import Lines, to_stream

    return Lines(to_stream(), previews)
