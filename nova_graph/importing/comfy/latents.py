"""Latents: where they begin, and the samplers that draw in them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from engine.values import Json
from nova_graph.cli.exits import UsageError
from nova_graph.importing.comfy.models import Models
from nova_graph.importing.comfy.parts import LatentPart
from nova_graph.importing.comfy.reader import Once, Reader, nothing
from nova_graph.importing.comfy.sampling import course_of, sampler_name
from nova_graph.importing.comfy.sizes import resized
from nova_graph.importing.comfy.texts import Texts
from nova_graph.importing.comfy.workflow import ComfyNode, Link
from nova_graph.importing.draft import Draft, Tree, literal

_UNION_KINDS: Final = {
    "openpose": "openpose",
    "depth": "depth",
    "hed/pidi/scribble/ted": "soft_edge",
    "canny/lineart/anime_lineart/mlsd": "line",
    "normal": "normal",
    "segment": "segment",
    "tile": "tile",
}
"""What ComfyUI and ControlNet call the kinds of pictures that a union ControlNet follows."""


class Latents:
    """Translates whatever gives latents; `image` and `mask` translate the pictures that they come from."""

    def __init__(
        self,
        reader: Reader,
        draft: Draft,
        models: Models,
        texts: Texts,
        image: Callable[[Link], str],
        mask: Callable[[Link], str],
    ) -> None:
        self._read = reader
        self._draft = draft
        self._models = models
        self._texts = texts
        self._image = image
        self._mask = mask
        self.latents = Once(reader, self._make_latents)

    def _make_latents(self, node: ComfyNode) -> LatentPart:
        match node.type:
            case "EmptyLatentImage":
                ask = self._draft.ask
                size: Tree = {port: ask(port, "integer", self._read.value(node, port)) for port in ("width", "height")}
                count = self._read.value(node, "batch_size", 1)
                return LatentPart(size={**size, "count": ask("count", "integer", count) if count != 1 else None})
            case "VAEEncode":
                ports: Tree = {
                    "vae": self._models.vae(self._read.link(node, "vae")),
                    "image": self._image(self._read.link(node, "pixels")),
                }
                return LatentPart(f"${self._draft.add('encode', 'EncodeImage', ports)}.latents")
            case "SetLatentNoiseMask":
                return replace(
                    self.latents(self._read.link(node, "samples")), mask=self._mask(self._read.link(node, "mask"))
                )
            case "LatentUpscale" | "LatentUpscaleBy":
                samples = self.latents(self._read.link(node, "samples"))
                if samples.ref is None:
                    raise UsageError(f"{node.type} (node {node.id}) enlarges what no sampler has drawn")
                ports = {"latents": samples.ref, **resized(self._read, node)}
                return LatentPart(f"${self._draft.add('enlarge', 'ResizeLatents', ports)}.latents")
            case "KSampler" | "KSamplerAdvanced":
                return LatentPart(f"${self._sampler(node)}.latents")
        raise nothing("latents", node)

    def _sampler(self, node: ComfyNode) -> str:
        model = self._models.model(self._read.link(node, "model"))
        texts = self._texts.encoded(node)
        ref = model.ref
        for net in texts.nets:
            ref = self._followed(ref, net)
        start = self.latents(self._read.link(node, "latent_image"))
        course = course_of(self._read, node)
        ask = self._draft.ask
        ports: Tree = {
            "model": ref,
            "conditioning": texts.conditioning,
            "guidance": model.guidance,
            "latents": start.ref,
            "mask": start.mask,
            "soft_mask": model.soft_mask if start.mask else None,
            **start.size,
            "seed": self._draft.ask_seed("seed", course.seed),
            "steps": ask("steps", "integer", course.steps),
            "denoise": ask("denoise", "number", course.denoise) if course.denoise != 1 else None,
            "start_step": course.start_step,
            "end_step": course.end_step,
            "cfg": ask("cfg", "number", self._read.value(node, "cfg")),
            "rescale": model.rescale,
            "sampler": ask("sampler", "string", sampler_name(self._read, node)),
            "schedule": ask("schedule", "string", self._read.value(node, "scheduler")),
            **texts.micro,
        }
        return self._draft.add("sampler", "Sampler", ports)

    def _followed(self, model: str, net: ComfyNode) -> str:
        """Return a model that follows the picture of a ControlNet."""
        loader = self._read.behind(net, "control_net")
        kind: Json = None
        if loader.type == "SetUnionControlNetType":
            kind = self._union_kind(loader)
            loader = self._read.behind(loader, "control_net")
        name = self._read.value(loader, "control_net_name")
        ports: Tree = {
            "model": model,
            "image": self._image(self._read.link(net, "image")),
            "controlnet": literal(self._draft.file("controlnet", name)),
            "strength": self._read.value(net, "strength", 1.0),
            "start": self._read.value(net, "start_percent"),
            "end": self._read.value(net, "end_percent"),
            "kind": kind,
        }
        self._draft.note("ControlNets act from and to shares of the steps here, of the timesteps in ComfyUI")
        return f"${self._draft.add('follow', 'ControlNet', ports)}.model"

    def _union_kind(self, node: ComfyNode) -> str:
        written = str(self._read.value(node, "type"))
        if written not in _UNION_KINDS:
            raise UsageError(
                f"{node.type} (node {node.id}) says {written!r}, which cannot be imported",
                hint=f"Choose {', '.join(_UNION_KINDS)} there.",
            )
        return _UNION_KINDS[written]
