"""The commands and their options; what they do is imported when it is called for."""

# ruff: noqa: PLR0913, PLR0917 - the parameters of a command are its options.

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from nova_graph.cli.collecting import collect, open_lines
from nova_graph.cli.groups import cache, models
from nova_graph.cli.performing import Traceback, perform

_HELP_NAMES = ["--help", "-h"]
_OPEN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

GraphFile = Annotated[Path | None, typer.Argument(metavar="GRAPH [--any-input VALUE]...", hidden=True, readable=False)]
"""Hidden arguments stand in the line of usage only: a table of one, with its type behind it, would tell less.

`readable=False` leaves it to the commands to say what cannot be read, and why.
"""
Picture = Annotated[Path | None, typer.Argument(metavar="IMAGE [--any-input VALUE]...", hidden=True, readable=False)]
PictureHelp = Annotated[bool, typer.Option("--help", "-h", help="Show this, and the inputs of IMAGE.")]
Help = Annotated[bool, typer.Option("--help", "-h", help="Show this, and the inputs of GRAPH.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set an input by its name.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda or mps.", show_default=False)]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for the pictures.", readable=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print events as NDJSON, one object a line.")]
Previews = Annotated[bool, typer.Option("--previews", help="With --json: pictures of work in progress, as base64.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither use nor keep results in the cache folder.")]
On = Annotated[str, typer.Option("--on", metavar="PLACE", help="local, or modal: the app that is deployed there.")]
Sweep = Annotated[
    list[str] | None, typer.Option("--sweep", metavar="NAME=A,B,...", help="A run for each value of an input.")
]
Grid = Annotated[bool, typer.Option("--grid", help="With --sweep: all pictures side by side in one more.")]
LogLevel = Literal["debug", "info", "warning", "error"]
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


def _print_version(wanted: bool) -> None:
    if wanted:
        from nodes.program import program_version

        sys.stdout.write(f"nova-graph {program_version()}\n")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
]


@app.callback()
def program(version: Version = False) -> None:
    """Draw SDXL anime pictures from graphs of typed nodes."""


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
    on: On = "local",
    sweep: Sweep = None,
    grid: Grid = False,
    traceback: Traceback = False,
    help_: Help = False,
) -> None:
    """Run a graph file and save its pictures. The graph's inputs are flags: --prompt TEXT, --seed 7, --no-face."""
    from nova_graph.cli.commands.run import RunOptions, run_graph
    from nova_graph.cli.sweeping import check_together

    given = collect(ctx, graph, settings, help_, traceback)
    lines = open_lines(json, traceback, previews=previews)

    def act() -> bool | None:
        sweeps = tuple(sweep or ())
        check_together(sweeps, grid=grid, as_json=json)
        if on != "local":
            from nova_graph.cli.commands.cloud import CloudOptions, run_elsewhere

            return run_elsewhere(on, given, CloudOptions(out, sweeps, grid), lines)
        options = RunOptions(out, device, not no_cache)
        if sweeps:
            from nova_graph.cli.commands.sweep import run_sweep

            return run_sweep(given, options, sweeps, grid=grid)
        run_graph(given, options, lines)
        return None

    perform(act, traceback, lines)


@app.command(context_settings=_OPEN, options_metavar="")
def check(
    ctx: typer.Context,
    graph: GraphFile = None,
    settings: Settings = None,
    traceback: Traceback = False,
    help_: Help = False,
) -> None:
    """Check a graph file and run nothing."""
    from nova_graph.cli.commands.graphs import check_graph

    given = collect(ctx, graph, settings, help_, traceback)
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

    given = collect(ctx, graph, settings, help_, traceback)
    perform(lambda: plan_graph(given, device, as_json=json), traceback)


@app.command(context_settings=_OPEN, options_metavar="")
def show(
    ctx: typer.Context,
    graph: GraphFile = None,
    settings: Settings = None,
    svg: Annotated[bool, typer.Option("--svg", help="SVG instead of Mermaid text.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to a file; .svg means SVG.", readable=False)
    ] = None,
    traceback: Traceback = False,
    help_: Help = False,
) -> None:
    """Draw the graph itself, as Mermaid text or SVG."""
    from nova_graph.cli.commands.graphs import show_graph

    given = collect(ctx, graph, settings, help_, traceback)
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
    help_: PictureHelp = False,
) -> None:
    """Run a picture's own graph again, also with other inputs.

    IMAGE is a picture that nova-graph drew, with its graph in it.

    Conditions (`when`) are settled in it, so it has only the inputs that it used; --help after IMAGE lists them.
    """
    from nova_graph.cli.commands.rerun import rerun_picture, verify_picture
    from nova_graph.cli.commands.run import RunOptions

    given = collect(ctx, image, settings, help_, traceback, is_graph=False)
    if verify:
        others = {"--json": json, "--no-cache": no_cache, "--out": out != OUTPUTS}
        unused = [flag for flag, is_given in others.items() if is_given]
        perform(lambda: verify_picture(given, device, unused), traceback)
    lines = open_lines(json, traceback)
    perform(lambda: rerun_picture(given, RunOptions(out, device, not no_cache), lines), traceback, lines)


@app.command("import")
def import_(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A workflow, or a picture.", show_default=False, readable=False)
    ],
    graph: Annotated[
        Path | None,
        typer.Argument(metavar="GRAPH", help="The file to write; none prints it.", show_default=False, readable=False),
    ] = None,
    models_folder: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", help="The folder `models` of ComfyUI or A1111.", readable=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    traceback: Traceback = False,
) -> None:
    """Make a graph file of a ComfyUI workflow or a picture.

    A picture may be by nova-graph, ComfyUI or A1111.
    """
    from nova_graph.cli.commands.importing import import_file

    perform(lambda: import_file(source, graph, models_folder, force=force), traceback)


@app.command()
def serve(
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Address to listen on; others than this machine's need NOVA_API_KEYS."),
    ] = ("127.0.0.1"),
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port to listen on; 0 takes any that is free.")
    ] = 8000,
    log_level: Annotated[LogLevel, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")] = "warning",
    traceback: Traceback = False,
) -> None:
    """Serve graphs over HTTP, with a worker process that computes."""
    from nova_graph.cli.commands.serve import ServeOptions
    from nova_graph.cli.commands.serve import serve as serve_graphs

    perform(lambda: serve_graphs(ServeOptions(host, port, log_level)), traceback)


@app.command(context_settings=_OPEN, options_metavar="")
def submit(
    ctx: typer.Context,
    graph: GraphFile = None,
    url: Annotated[str, typer.Option(metavar="URL", help="Where the service is.")] = "http://127.0.0.1:8000",
    settings: Settings = None,
    out: Out = OUTPUTS,
    json: AsJson = False,
    previews: Previews = False,
    sweep: Sweep = None,
    grid: Grid = False,
    traceback: Traceback = False,
    help_: Help = False,
) -> None:
    """Run a graph on a service and save its pictures here. The key for it is in NOVA_API_KEY.

    GRAPH is a graph file, or a name that the service knows.
    """
    from nova_graph.cli.commands.submit import SubmitOptions, submit_graph
    from nova_graph.cli.sweeping import check_together

    given = collect(ctx, graph, settings, help_, traceback, url=url)
    lines = open_lines(json, traceback, previews=previews)
    options = SubmitOptions(url, out)

    def act() -> bool | None:
        sweeps = tuple(sweep or ())
        check_together(sweeps, grid=grid, as_json=json)
        if sweeps:
            from nova_graph.cli.commands.submit_sweep import submit_sweep

            return submit_sweep(given, options, sweeps, grid=grid)
        submit_graph(given, options, lines)
        return None

    perform(act, traceback, lines)


@app.command()
def nodes(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One node type, in full.", show_default=False)
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="All of them in full, as docs/nodes.md.")] = False,
    traceback: Traceback = False,
) -> None:
    """List the node types, or describe one."""
    from nova_graph.cli.commands.nodes import list_nodes

    perform(lambda: list_nodes(name, as_markdown=markdown), traceback)


@app.command()
def schema(
    graph: Annotated[
        Path | None,
        typer.Argument(metavar="GRAPH", help="A graph: the schema of its inputs.", show_default=False, readable=False),
    ] = None,
    traceback: Traceback = False,
) -> None:
    """Print the JSON Schema of graph files, or of one's inputs.

    Editors take that of graph files.
    """
    from nova_graph.cli.commands.graphs import print_schema

    perform(lambda: print_schema(graph), traceback)


@app.command("help")
def show_help(
    command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", hidden=True)] = None,
) -> None:
    """Show the commands, or the help of one, as --help does."""
    app([*(command or ()), "--help"], prog_name="nova-graph")
