"""What a file is, and the graph in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.errors import AssetRefused
from engine.openers import SUFFIXES
from engine.values import Json
from nodes.pictures.encode import PARAMETERS, RECORD
from nodes.pictures.formats import MAX_BYTES, sniff_format
from nodes.pictures.record import COMFY, read_metadata, read_texts
from nova_graph.cli.exits import UsageError
from nova_graph.importing import a1111, comfy
from nova_graph.importing.draft import Draft

LONGEST: Final = 8 << 20
"""Characters of a workflow."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A graph, and what whoever imports it should know."""

    tree: dict[str, Json]
    notes: tuple[str, ...] = ()


def import_graph(path: Path, models: Path | None = None) -> Imported:
    """Return the graph of a ComfyUI workflow, or of a picture by nova-graph, ComfyUI or A1111.

    `models` is the folder `models` of ComfyUI or A1111, where files are looked for. Raises UsageError, AssetRefused.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path} is larger than {MAX_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if data.lstrip()[:1] == b"{":
        return _imported(_workflow(data.decode("utf-8", "replace"), path.name, models))
    if sniff_format(data) is None:
        raise AssetRefused(
            f"{path.name} is neither a ComfyUI workflow (JSON) nor a PNG, JPEG or WebP picture",
            hint=f"`nova-graph run {path}` runs a graph file as it is." if path.suffix in SUFFIXES else "",
        )
    texts = read_texts(data, path.name)
    if RECORD in texts:
        return _own(data, path.name)
    for name in COMFY:
        if name in texts:
            return _imported(_workflow(texts[name], path.name, models))
    if PARAMETERS in texts:
        return _imported(a1111.translate(a1111.read_parameters(texts[PARAMETERS]), path.name, models))
    raise UsageError(
        f"{path.name} does not say how it was made",
        hint="Pictures lose that when they are edited, or sent through most web sites.",
    )


def _workflow(text: str, what: str, models: Path | None) -> Draft:
    if len(text) > LONGEST:
        raise UsageError(f"the workflow of {what} is longer than {LONGEST:,} characters")
    return comfy.translate(comfy.read_workflow(text, what), what, models)


def _imported(draft: Draft) -> Imported:
    return Imported(draft.tree(), tuple(draft.notes))


def _own(data: bytes, what: str) -> Imported:
    """Return the graph in a picture of ours, with what it was given as its defaults."""
    record = read_metadata(data, what)
    tree: dict[str, Json] = dict(record.graph)
    declared = tree.get("inputs")
    if isinstance(declared, Mapping):
        tree["inputs"] = {name: _with_default(words, record.inputs.get(name)) for name, words in declared.items()}
    return Imported(tree)


def _with_default(words: Json, given: Json) -> Json:
    return {**words, "default": given} if isinstance(words, dict) and given is not None else words
