"""A ComfyUI workflow as a graph: from the pictures that it saves back to their checkpoint."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, Generic, TypeVar

from engine.values import Json
from nodes.prompts import named_embeddings
from nova_graph.cli.exits import UsageError
from nova_graph.importing.comfy_parts import ClipPart, Course, LatentPart, ModelPart, TextPart
from nova_graph.importing.comfy_workflow import WIDGETS, ComfyNode, Link, Workflow
from nova_graph.importing.draft import Draft, Tree, literal, whole_steps

SAVES: Final = ("SaveImage", "SaveImageWebsocket")
PREVIEW: Final = "PreviewImage"
PASSES: Final = "Reroute"
VALUES: Final = ("PrimitiveNode", "PrimitiveFloat", "PrimitiveInt", "PrimitiveString", "PrimitiveStringMultiline")
KNOWN: Final = frozenset(
    {*WIDGETS, *SAVES, PREVIEW, PASSES, "VAEDecode", "VAEEncode", "SetLatentNoiseMask", "ImageUpscaleWithModel"}
)
APPLIES: Final = {
    "ControlNetApply": ("conditioning", "conditioning"),
    "ControlNetApplyAdvanced": ("positive", "negative"),
}
"""Nodes that apply a ControlNet, and which text each of their outputs stands for."""

NET: Final = "control_net_name"
METHODS: Final = {"nearest-exact": "nearest"}
"""Ways to resize that have another name here."""

Part = TypeVar("Part")


def translate(workflow: Workflow, what: str, models: Path | None) -> Draft:
    """Return the graph of a workflow; raises UsageError with every node of it that there is nothing for here."""
    draft = Draft(f"Imported from {what} (ComfyUI).", models)
    _Translator(workflow, draft).run()
    draft.note("ComfyUI draws noise in another way: the same seed gives another picture here")
    return draft


class _Once(Generic[Part]):
    """Translates a node the first time it is asked for."""

    def __init__(self, node: Callable[[Link], ComfyNode], make: Callable[[ComfyNode], Part]) -> None:
        self._node, self._make = node, make
        self._made: dict[str, Part] = {}

    def __call__(self, link: Link) -> Part:
        node = self._node(link)
        if node.id not in self._made:
            self._made[node.id] = self._make(node)
        return self._made[node.id]


class _Translator:
    def __init__(self, workflow: Workflow, draft: Draft) -> None:
        self._workflow = workflow
        self._draft = draft
        self._loader = _Once(self._node, self._make_loader)
        self._lora = _Once(self._node, self._make_lora)
        self._model = _Once(self._node, self._make_model)
        self._clip = _Once(self._node, self._make_clip)
        self._vae = _Once(self._node, self._make_vae)
        self._text = _Once(self._node, self._make_text)
        self._latents = _Once(self._node, self._make_latents)
        self._image = _Once(self._node, self._make_image)
        self._loaded = _Once(self._node, self._make_loaded)
        self._encoders: dict[tuple[str, str], str] = {}

    def run(self) -> None:
        """Translate everything behind the pictures that are saved."""
        ends = self._ends()
        self._check_types(ends)
        try:
            for node in ends:
                self._draft.save(self._image(_link(node, "images")))
        except RecursionError:
            raise UsageError("the workflow goes in a circle, or is too deep") from None

    def _ends(self) -> list[ComfyNode]:
        for kinds in (SAVES, (PREVIEW,)):
            ends = [node for node in self._workflow.values() if node.type in kinds]
            if ends:
                return ends
        raise UsageError("the workflow saves no picture", hint="Add a SaveImage node.")

    def _check_types(self, ends: list[ComfyNode]) -> None:
        """Name every node that there is nothing for, before anything is made."""
        seen: dict[str, ComfyNode] = {}
        waiting = list(ends)
        while waiting:
            node = waiting.pop()
            if node.id not in seen:
                seen[node.id] = node
                waiting += [self._workflow[link.node] for link in node.links() if link.node in self._workflow]
        strange = sorted(f"  {node.type} (node {node.id})" for node in seen.values() if node.type not in KNOWN)
        if strange:
            raise UsageError(
                "there is nothing here for these nodes of the workflow:\n" + "\n".join(strange),
                hint="Bypass them in ComfyUI (Ctrl+B), save it again, and add what is missed to the graph by hand.",
            )

    def _end(self, link: Link) -> Link:
        """Return the output behind a link, past nodes that only pass on."""
        for _ in self._workflow:
            node = self._workflow.get(link.node)
            if node is None:
                raise UsageError(f"the workflow has no node {link.node}, but another one reads it")
            if node.type != PASSES:
                return link
            link = next(node.links(), Link("", 0))
        raise UsageError("the workflow goes in a circle")

    def _node(self, link: Link) -> ComfyNode:
        return self._workflow[self._end(link).node]

    def _value(self, node: ComfyNode, port: str, missing: Json = None) -> Json:
        """Return a plain value, also one that another node holds."""
        value = node.inputs.get(port, missing)
        if not isinstance(value, Link):
            return value
        holder = self._node(value)
        held = holder.inputs.get("value")
        if holder.type not in VALUES or isinstance(held, Link):
            raise UsageError(f"{port} of {node.type} (node {node.id}) is computed by {holder.type} (node {holder.id})")
        return held

    # Models

    def _make_loader(self, node: ComfyNode) -> str:
        name = self._draft.file("checkpoint", self._value(node, "ckpt_name"))
        return self._draft.add(
            "loader", "CheckpointLoader", {"checkpoint": self._draft.ask("checkpoint", "string", name)}
        )

    def _make_lora(self, node: ComfyNode) -> str:
        model = self._model(_link(node, "model"))
        both = node.type == "LoraLoader"
        text = self._clip(_link(node, "clip")).ref if both else f"${model.loader}.text_encoders"
        ports: Tree = {
            "model": model.ref,
            "text_encoders": text,
            "lora": literal(self._draft.file("lora", self._value(node, "lora_name"))),
            "model_strength": self._value(node, "strength_model", 1.0),
            "text_strength": self._value(node, "strength_clip", 1.0) if both else 0,
        }
        return self._draft.add("lora", "LoRA", ports)

    def _make_model(self, node: ComfyNode) -> ModelPart:
        match node.type:
            case "CheckpointLoaderSimple":
                loader = self._loader(Link(node.id, 0))
                return ModelPart(f"${loader}.model", loader)
            case "LoraLoader" | "LoraLoaderModelOnly":
                return replace(self._model(_link(node, "model")), ref=f"${self._lora(Link(node.id, 0))}.model")
            case "PerturbedAttentionGuidance":
                pag = self._draft.add("pag", "PAG", {"scale": self._value(node, "scale", 3.0)})
                return replace(self._model(_link(node, "model")), guidance=f"${pag}.guidance")
            case "RescaleCFG":
                return replace(self._model(_link(node, "model")), rescale=self._value(node, "multiplier", 0.7))
            case "ModelSamplingDiscrete":
                return self._told(node)
        raise _no("model", node)

    def _told(self, node: ComfyNode) -> ModelPart:
        """Tell the loader what the checkpoint predicts."""
        part = self._model(_link(node, "model"))
        sampling = self._value(node, "sampling")
        known = {"eps": "epsilon", "v_prediction": "v_prediction"}
        if sampling not in known:
            raise UsageError(f"ModelSamplingDiscrete (node {node.id}) asks for {sampling!r}, which cannot be imported")
        self._draft.set(part.loader, "prediction", known[str(sampling)])
        if self._value(node, "zsnr") is True:
            self._draft.set(part.loader, "zero_terminal_snr", "yes")
        return part

    def _make_clip(self, node: ComfyNode) -> ClipPart:
        match node.type:
            case "CheckpointLoaderSimple":
                return ClipPart(f"${self._loader(Link(node.id, 0))}.text_encoders")
            case "LoraLoader":
                return replace(self._clip(_link(node, "clip")), ref=f"${self._lora(Link(node.id, 0))}.text_encoders")
            case "CLIPSetLastLayer":
                layer = self._value(node, "stop_at_clip_layer", -1)
                return replace(self._clip(_link(node, "clip")), skip=-layer if isinstance(layer, int) else layer)
        raise _no("text encoders", node)

    def _make_vae(self, node: ComfyNode) -> str:
        match node.type:
            case "CheckpointLoaderSimple":
                return f"${self._loader(Link(node.id, 0))}.vae"
            case "VAELoader":
                loaders = [other for other in self._workflow.values() if other.type == "CheckpointLoaderSimple"]
                if not loaders:
                    raise UsageError("the workflow loads no checkpoint", hint="Add a CheckpointLoaderSimple.")
                bundled = f"${self._loader(Link(loaders[0].id, 0))}.vae"
                name = literal(self._draft.file("vae", self._value(node, "vae_name")))
                return f"${self._draft.add('vae', 'VAE', {'bundled': bundled, 'override': name})}.vae"
        raise _no("VAE", node)

    # Texts

    def _make_text(self, node: ComfyNode) -> TextPart:
        if node.type not in ("CLIPTextEncode", "CLIPTextEncodeSDXL"):
            raise _no("conditioning", node)
        clip = _link(node, "clip")
        if node.type == "CLIPTextEncode":
            return TextPart(self._clip(clip), self._value(node, "text", ""))
        first, second = self._value(node, "text_l", ""), self._value(node, "text_g", "")
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
        return TextPart(self._clip(clip), first, {port: self._value(node, name) for port, name in sizes.items()})

    def _behind_nets(self, link: Link) -> tuple[Link, tuple[ComfyNode, ...]]:
        """Return the text that ControlNets are applied to, and these, the first one first."""
        nets: list[ComfyNode] = []
        for _ in self._workflow:
            link = self._end(link)
            node = self._workflow[link.node]
            if node.type not in APPLIES:
                return link, tuple(reversed(nets))
            nets.append(node)
            link = _link(node, APPLIES[node.type][link.slot > 0])
        raise UsageError("the workflow goes in a circle")

    def _followed(self, model: str, net: ComfyNode) -> str:
        """Return a model that follows the picture of a ControlNet."""
        ports: Tree = {
            "model": model,
            "image": self._image(_link(net, "image")),
            "controlnet": literal(
                self._draft.file("controlnet", self._value(self._node(_link(net, "control_net")), NET))
            ),
            "strength": self._value(net, "strength", 1.0),
            "start": self._value(net, "start_percent"),
            "end": self._value(net, "end_percent"),
        }
        self._draft.note("ControlNets act from and to shares of the steps here, of the timesteps in ComfyUI")
        return f"${self._draft.add('follow', 'ControlNet', ports)}.model"

    def _encoder(self, node: ComfyNode) -> tuple[str, TextPart, tuple[ComfyNode, ...]]:
        """Return the encoder of both texts of a sampler, the part of its prompt, and its ControlNets."""
        wanted, nets = self._behind_nets(_link(node, "positive"))
        avoided, others = self._behind_nets(_link(node, "negative"))
        if not {net.id for net in others} <= {net.id for net in nets}:
            raise UsageError(f"{node.type} (node {node.id}) has a ControlNet for what is to be avoided alone")
        prompt, negative = self._text(wanted), self._text(avoided)
        if prompt.clip != negative.clip:
            raise UsageError(f"{node.type} (node {node.id}) has texts of different encoders, which is not done here")
        pair = self._node(wanted).id, self._node(avoided).id
        if pair not in self._encoders:
            words = named_embeddings(f"{prompt.text}, {negative.text}")
            ports: Tree = {
                "text_encoders": self._draft.teach(prompt.clip.ref, words),
                "prompt": self._draft.ask("prompt", "string", prompt.text),
                "negative": self._draft.ask("negative", "string", negative.text),
                "weighting": "comfy",
                "clip_skip": prompt.clip.skip,
            }
            self._encoders[pair] = self._draft.add("encoder", "Encoder", ports)
        return self._encoders[pair], prompt, nets

    # Latents

    def _make_latents(self, node: ComfyNode) -> LatentPart:
        match node.type:
            case "EmptyLatentImage":
                ask = self._draft.ask
                size: Tree = {port: ask(port, "integer", self._value(node, port)) for port in ("width", "height")}
                count = self._value(node, "batch_size", 1)
                return LatentPart(size={**size, "count": ask("count", "integer", count) if count != 1 else None})
            case "VAEEncode":
                ports: Tree = {"vae": self._vae(_link(node, "vae")), "image": self._image(_link(node, "pixels"))}
                return LatentPart(f"${self._draft.add('encode', 'EncodeImage', ports)}.latents")
            case "SetLatentNoiseMask":
                return replace(self._latents(_link(node, "samples")), mask=self._mask(_link(node, "mask")))
            case "LatentUpscale" | "LatentUpscaleBy":
                samples = self._latents(_link(node, "samples"))
                if samples.ref is None:
                    raise UsageError(f"{node.type} (node {node.id}) enlarges what no sampler has drawn")
                ports = {"latents": samples.ref, **self._resized(node)}
                return LatentPart(f"${self._draft.add('enlarge', 'ResizeLatents', ports)}.latents")
            case "KSampler" | "KSamplerAdvanced":
                return LatentPart(f"${self._sampler(node)}.latents")
        raise _no("latents", node)

    def _sampler(self, node: ComfyNode) -> str:
        model = self._model(_link(node, "model"))
        encoder, text, nets = self._encoder(node)
        ref = model.ref
        for net in nets:
            ref = self._followed(ref, net)
        start = self._latents(_link(node, "latent_image"))
        course = self._course(node)
        ask = self._draft.ask
        ports: Tree = {
            "model": ref,
            "conditioning": f"${encoder}.conditioning",
            "guidance": model.guidance,
            "latents": start.ref,
            "mask": start.mask,
            **start.size,
            "seed": ask("seed", "seed", course.seed),
            "steps": ask("steps", "integer", course.steps),
            "denoise": ask("denoise", "number", course.denoise) if course.denoise != 1 else None,
            "cfg": ask("cfg", "number", self._value(node, "cfg")),
            "rescale": model.rescale,
            "sampler": ask("sampler", "string", self._sampler_name(node)),
            "schedule": ask("schedule", "string", self._value(node, "scheduler")),
            **text.micro,
        }
        return self._draft.add("sampler", "Sampler", ports)

    def _sampler_name(self, node: ComfyNode) -> Json:
        name = self._value(node, "sampler_name")
        return name.removesuffix("_gpu") if isinstance(name, str) else name

    def _course(self, node: ComfyNode) -> Course:
        steps = self._value(node, "steps")
        if node.type == "KSampler":
            denoise = self._value(node, "denoise", 1)
            return Course(self._value(node, "seed"), whole_steps(steps, denoise), denoise)
        first, last = self._value(node, "start_at_step", 0), self._value(node, "end_at_step", 10_000)
        switches = self._value(node, "add_noise"), self._value(node, "return_with_leftover_noise")
        match first, last, steps:
            case int(), int(), int() if first < steps <= last and switches == ("enable", "disable"):
                return Course(self._value(node, "noise_seed"), steps, 1 - first / steps if first else 1)
        raise UsageError(
            f"KSamplerAdvanced (node {node.id}) does a part of a course",
            hint="Only one that adds noise and runs to the end can be imported.",
        )

    # Pictures

    def _make_image(self, node: ComfyNode) -> str:
        match node.type:
            case "VAEDecode":
                latents = self._latents(_link(node, "samples"))
                if latents.ref is None:
                    raise UsageError(f"VAEDecode (node {node.id}) decodes what no sampler has drawn")
                ports: Tree = {"vae": self._vae(_link(node, "vae")), "latents": latents.ref}
                return f"${self._draft.add('decode', 'Decode', ports)}.image"
            case "LoadImage":
                return f"${self._loaded(Link(node.id, 0))}.image"
            case "ImageScale" | "ImageScaleBy":
                method = self._value(node, "upscale_method")
                ports = {"image": self._image(_link(node, "image")), **self._resized(node)}
                ports["method"] = METHODS.get(str(method), method)
                return f"${self._draft.add('resize', 'ResizeImage', ports)}.image"
            case "ImageUpscaleWithModel":
                loader = self._node(_link(node, "upscale_model"))
                name = self._draft.file("upscaler", self._value(loader, "model_name"))
                ports = {"image": self._image(_link(node, "image")), "upscaler": literal(name)}
                return f"${self._draft.add('upscale', 'UpscaleImage', ports)}.image"
        raise _no("picture", node)

    def _resized(self, node: ComfyNode) -> Tree:
        """Return how a node of ComfyUI's resizes pictures or latents."""
        ports: Tree = {"method": self._value(node, "upscale_method")}
        if node.type in ("ImageScaleBy", "LatentUpscaleBy"):
            return {**ports, "scale": self._value(node, "scale_by")}
        crop = self._value(node, "crop", "disabled") == "center"
        # A side of 0 follows the other one.
        sides: Tree = {port: self._value(node, port) or None for port in ("width", "height")}
        return {**ports, **sides, "resize": "crop" if crop else "stretch"}

    def _mask(self, link: Link) -> str:
        node = self._node(link)
        if node.type != "LoadImage":
            raise _no("mask", node)
        return f"${self._loaded(link)}.mask"

    def _make_loaded(self, node: ComfyNode) -> str:
        name = self._draft.file("image", self._value(node, "image"))
        return self._draft.add("load", "LoadImage", {"picture": self._draft.ask("picture", "string", name)})


def _link(node: ComfyNode, port: str) -> Link:
    value = node.inputs.get(port)
    if not isinstance(value, Link):
        raise UsageError(f"nothing is connected to {port} of {node.type} (node {node.id})")
    return value


def _no(what: str, node: ComfyNode) -> UsageError:
    return UsageError(f"{node.type} (node {node.id}) gives no {what} that can be imported")
