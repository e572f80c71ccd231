"""`nova-graph import`: a graph from elsewhere."""

import sys
from pathlib import Path

from engine.atomic import write_atomically
from engine.parse import parse
from nova_graph.cli.exits import UsageError
from nova_graph.cli.opening import every_node
from nova_graph.cli.printing import harmless
from nova_graph.graph_file import GraphFile
from nova_graph.importing import graph_text, import_graph


def import_file(source: Path, target: Path | None, models: Path | None, *, force: bool) -> None:
    """Write the graph of a workflow or picture, or print it, then check it; raises NovaError.

    What is wrong with it is told once it is written, so that it can be mended.
    """
    if target is not None:
        _check_target(target, source, force=force)
    if source.is_dir():
        raise UsageError(f"{source} is a folder", hint="Name a workflow or a picture in it.")
    if not source.is_file():
        raise UsageError(f"there is no file {source}")
    if models is not None and not models.is_dir():
        raise UsageError(f"--models {models} is no folder", hint="Name the folder `models` of ComfyUI or A1111.")
    imported = import_graph(source, models)
    text = graph_text(imported.tree)
    for note in imported.notes:
        sys.stderr.write(f"note: {harmless(note)}\n")
    path = target or Path("imported.yaml")
    if target is None:
        sys.stdout.write(text)
    else:
        try:
            write_atomically(target, [text.encode()], mode=0o666)
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror}") from error
    graph = GraphFile(parse(text, str(path)), path, every_node())
    for warning in graph.check():
        sys.stderr.write(f"{warning}\n")
    if target is not None:
        sys.stdout.write(f"{target}\n")


def _check_target(target: Path, source: Path, *, force: bool) -> None:
    if target.is_dir():
        raise UsageError(f"{target} is a folder", hint=f"Name a file in it: {target / source.stem}.yaml.")
    if not target.parent.is_dir():
        raise UsageError(f"{target} cannot be written: there is no folder {target.parent}", hint="Make it first.")
    if target.exists() and not force:
        raise UsageError(f"{target} is there already", hint="Name another file, or say --force.")
