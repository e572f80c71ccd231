"""Files that are taken for graph files, and the commands that take them."""

from pathlib import Path

from nova_graph.cli.exits import UsageError


def refuse_mistaken(path: Path) -> None:
    """Refuse a picture or a ComfyUI workflow, and say which command takes it; raises UsageError, OSError."""
    from nodes.pictures.formats import sniff_format

    data = path.read_bytes()
    if sniff_format(data):
        raise UsageError(
            f"{path} is a picture, no graph file",
            hint=f"`nova-graph rerun {path}` draws a picture of ours again; `nova-graph import {path} my-graph.yaml` "
            "makes a graph file of one, also by ComfyUI or A1111.",
        )
    if _is_workflow(data):
        raise UsageError(
            f"{path} is a ComfyUI workflow, no graph file",
            hint=f"`nova-graph import {path} my-graph.yaml` makes one of it.",
        )


def _is_workflow(data: bytes) -> bool:
    from nova_graph.importing.comfy import read_workflow

    if data.lstrip()[:1] != b"{":
        return False
    try:
        return bool(read_workflow(data.decode("utf-8", "replace"), ""))
    except UsageError:
        return False
