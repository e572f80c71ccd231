"""Texts: ComfyUI encodes them one by one, Encoder what is wished for together with what is not."""

from typing import Final

from nodes.prompts import named_embeddings
from nova_graph.cli.exits import UsageError
from nova_graph.importing.comfy.models import Models
from nova_graph.importing.comfy.parts import Encoded, TextPart
from nova_graph.importing.comfy.reader import Once, Reader, nothing
from nova_graph.importing.comfy.workflow import ComfyNode, Link
from nova_graph.importing.draft import Draft, Tree

APPLIES: Final = {
    "ControlNetApply": ("conditioning", "conditioning"),
    "ControlNetApplyAdvanced": ("positive", "negative"),
}
"""Nodes that apply a ControlNet, and which text each of their outputs stands for."""

MOST_NETS: Final = 100
"""ControlNets of one text; each sampler has nodes of its own for them."""


class Texts:
    """Translates pairs of texts, and finds the ControlNets that are applied to them."""

    def __init__(self, reader: Reader, draft: Draft, models: Models) -> None:
        self._read = reader
        self._draft = draft
        self._models = models
        self._text = Once(reader, self._make_text)
        self._encoders: dict[tuple[str, str, str], str] = {}

    def _make_text(self, node: ComfyNode) -> TextPart:
        if node.type not in ("CLIPTextEncode", "CLIPTextEncodeSDXL"):
            raise nothing("conditioning", node)
        clip = self._read.link(node, "clip")
        if node.type == "CLIPTextEncode":
            return TextPart(self._models.clip(clip), self._read.value(node, "text", ""))
        first, second = self._read.value(node, "text_l", ""), self._read.value(node, "text_g", "")
        if first != second:
            raise UsageError(f"CLIPTextEncodeSDXL (node {node.id}) has two texts; here one text is for both encoders")
        sizes = {
            "original_width": "width",
            "original_height": "height",
            "crop_left": "crop_w",
            "crop_top": "crop_h",
            "target_width": "target_width",
            "target_height": "target_height",
        }
        return TextPart(
            self._models.clip(clip), first, {port: self._read.value(node, name) for port, name in sizes.items()}
        )

    def _behind_nets(self, link: Link) -> tuple[Link, tuple[ComfyNode, ...]]:
        """Return the text that ControlNets are applied to, and these, the first one first."""
        nets: list[ComfyNode] = []
        for _ in range(MOST_NETS + 1):
            link = self._read.end(link)
            node = self._read.workflow[link.node]
            if node.type not in APPLIES:
                return link, tuple(reversed(nets))
            nets.append(node)
            link = self._read.link(node, APPLIES[node.type][link.slot > 0])
        raise UsageError(f"a text has more than {MOST_NETS} ControlNets, or they go in a circle")

    def encoded(self, node: ComfyNode, instead: str = "") -> Encoded:
        """Return both texts of a node, encoded; `instead` takes the place of the prompt where it is not empty."""
        wanted, nets = self._behind_nets(self._read.link(node, "positive"))
        avoided, others = self._behind_nets(self._read.link(node, "negative"))
        if not {net.id for net in others} <= {net.id for net in nets}:
            raise UsageError(f"{node.type} (node {node.id}) has a ControlNet for what is to be avoided alone")
        prompt, negative = self._text(wanted), self._text(avoided)
        if prompt.clip != negative.clip:
            raise UsageError(f"{node.type} (node {node.id}) has texts of different encoders, which is not done here")
        both = self._read.node(wanted).id, self._read.node(avoided).id, instead
        if both not in self._encoders:
            text = instead or prompt.text
            words = named_embeddings(f"{text}, {negative.text}")
            ports: Tree = {
                "text_encoders": self._draft.teach(prompt.clip.ref, words),
                "prompt": self._draft.ask("face_prompt" if instead else "prompt", "string", text),
                "negative": self._draft.ask("negative", "string", negative.text),
                "weighting": "comfy",
                "clip_skip": prompt.clip.skip,
            }
            self._encoders[both] = self._draft.add("encoder", "Encoder", ports)
        return Encoded(f"${self._encoders[both]}.conditioning", prompt.micro, nets)
