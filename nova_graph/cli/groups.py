"""The commands that come in groups: `cache ...` and `models ...`."""

from typing import Annotated

import typer

from nova_graph.cli.performing import Traceback, perform

cache = typer.Typer(help="Results of earlier runs: size, list, clear, verify.", no_args_is_help=True)
models = typer.Typer(help="Weights: what is found where, and models.lock.", invoke_without_command=True)


@cache.command("size")
def cache_size(traceback: Traceback = False) -> None:
    """Say where the results are and how large."""
    from nova_graph.cli.commands.cache import show_size

    perform(show_size, traceback)


@cache.command("list")
def cache_list(traceback: Traceback = False) -> None:
    """List the results, last used first."""
    from nova_graph.cli.commands.cache import list_entries

    perform(list_entries, traceback)


@cache.command("clear")
def cache_clear(traceback: Traceback = False) -> None:
    """Delete the results; models and pictures stay."""
    from nova_graph.cli.commands.cache import clear

    perform(clear, traceback)


@cache.command("verify")
def cache_verify(traceback: Traceback = False) -> None:
    """Check every result against its digest.

    The exit code is 1 where one is damaged.
    """
    from nova_graph.cli.commands.cache import verify

    perform(verify, traceback)


@models.callback()
def models_alone(ctx: typer.Context, traceback: Traceback = False) -> None:
    """List the weights; the same as `models list`."""
    if ctx.invoked_subcommand is None:
        models_list(traceback)


@models.command("list")
def models_list(traceback: Traceback = False) -> None:
    """List what each name stands for, and whether it is here."""
    from nova_graph.cli.commands.models import show_models

    perform(show_models, traceback)


@models.command("add")
def models_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name that graphs will use.")],
    place: Annotated[str, typer.Argument(metavar="PLACE", help="A file or an address; an address is downloaded.")],
    kind: Annotated[
        str, typer.Option(metavar="KIND", help="checkpoint, vae, detector, lora, embedding, controlnet or upscaler.")
    ] = "checkpoint",
    traceback: Traceback = False,
) -> None:
    """Note a file or an address in models.lock, with its sha256."""
    from nova_graph.cli.commands.models import note_model

    perform(lambda: note_model(name, kind, place), traceback)


@models.command("remove")
def models_remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name in models.lock.")], traceback: Traceback = False
) -> None:
    """Take a name out of models.lock; the file stays."""
    from nova_graph.cli.commands.models import forget_model

    perform(lambda: forget_model(name), traceback)


@models.command("verify")
def models_verify(traceback: Traceback = False) -> None:
    """Compare the files in models.lock with their sha256.

    The exit code is 1 where one differs.
    """
    from nova_graph.cli.commands.models import check_models

    perform(check_models, traceback)
