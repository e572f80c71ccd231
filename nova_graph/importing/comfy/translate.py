"""A ComfyUI workflow as a graph: from the pictures that it saves back to their checkpoint."""

from pathlib import Path
from typing import Final

from nova_graph.cli.exits import UsageError
from nova_graph.importing.comfy.faces import Faces
from nova_graph.importing.comfy.latents import Latents
from nova_graph.importing.comfy.models import Models
from nova_graph.importing.comfy.parts import LatentPart
from nova_graph.importing.comfy.pictures import Pictures
from nova_graph.importing.comfy.reader import PASSES, Reader
from nova_graph.importing.comfy.texts import Texts
from nova_graph.importing.comfy.workflow import POWER_LORAS, WIDGETS, ComfyNode, Link, Workflow
from nova_graph.importing.draft import Draft

SAVES: Final = ("SaveImage", "SaveImageWebsocket")
PREVIEW: Final = "PreviewImage"
KNOWN: Final = frozenset(
    {
        *WIDGETS,
        *SAVES,
        PREVIEW,
        PASSES,
        POWER_LORAS,
        "ImageInvert",
        "VAEDecode",
        "VAEEncode",
        "SetLatentNoiseMask",
        "ImageUpscaleWithModel",
    }
)

FIRST_ONLY: Final = frozenset({"FaceDetailer"})
"""Nodes of whose outputs only the first one is made here."""


def translate(workflow: Workflow, what: str, models: Path | None) -> Draft:
    """Return the graph of a workflow; raises UsageError with every node of it that there is nothing for here."""
    draft = Draft(f"Imported from {what} (ComfyUI).", models)
    ends = _ends(workflow)
    reader = Reader(workflow)
    _check_types(reader, ends)
    pictures = _pictures(reader, draft)
    try:
        for node in ends:
            draft.save(pictures.image(reader.link(node, "images")))
    except RecursionError:
        raise UsageError("the workflow goes in a circle, or is too deep") from None
    draft.note("ComfyUI draws noise in another way: the same seed gives another picture here")
    return draft


def _pictures(reader: Reader, draft: Draft) -> Pictures:
    # Pictures are drawn from latents and refined, and latents and what is refined are made of pictures.
    def drawn(link: Link) -> LatentPart:
        return latents.latents(link)

    def refined(node: ComfyNode) -> str:
        return faces.refined(node)

    models = Models(reader, draft)
    texts = Texts(reader, draft, models)
    pictures = Pictures(reader, draft, models, drawn, refined)
    latents = Latents(reader, draft, models, texts, pictures.image, pictures.mask)
    faces = Faces(reader, draft, models, texts, pictures.image)
    return pictures


def _ends(workflow: Workflow) -> list[ComfyNode]:
    for kinds in (SAVES, (PREVIEW,)):
        ends = [node for node in workflow.values() if node.type in kinds]
        if ends:
            return ends
    raise UsageError("the workflow saves no picture", hint="Add a SaveImage node.")


def _check_types(reader: Reader, ends: list[ComfyNode]) -> None:
    """Name every node that there is nothing for, before anything is made."""
    seen: dict[str, ComfyNode] = {}
    strange: set[str] = set()
    waiting = list(ends)
    while waiting:
        node = waiting.pop()
        if node.id in seen:
            continue
        seen[node.id] = node
        if node.type not in KNOWN:
            strange.add(f"  {node.type} (node {node.id})")
        for link in node.links():
            if link.node in reader.workflow:
                waiting.append(reader.workflow[link.node])
                origin = reader.end(link)
                if origin.slot and reader.node(origin).type in FIRST_ONLY:
                    strange.add(f"  {reader.node(origin).type} (node {origin.node}), of which only the first output")
    if strange:
        raise UsageError(
            "there is nothing here for these nodes of the workflow:\n" + "\n".join(sorted(strange)),
            hint="Bypass them in ComfyUI (Ctrl+B), save it again, and add what is missed to the graph by hand.",
        )
