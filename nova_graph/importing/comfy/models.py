"""Checkpoints, LoRAs, VAEs, and what ComfyUI keeps in its models and text encoders."""

from collections.abc import Iterator
from dataclasses import replace

from engine.values import Json
from nova_graph.cli.exits import UsageError
from nova_graph.importing.comfy.parts import ClipPart, ModelPart
from nova_graph.importing.comfy.reader import Once, Reader, nothing, plain
from nova_graph.importing.comfy.workflow import POWER_LORAS, ComfyNode, Link
from nova_graph.importing.draft import Draft, Tree, literal


class Models:
    """Translates whatever gives a model, text encoders or a VAE."""

    def __init__(self, reader: Reader, draft: Draft) -> None:
        self._read = reader
        self._draft = draft
        self.loader = Once(reader, self._make_loader)
        self.model = Once(reader, self._make_model)
        self.clip = Once(reader, self._make_clip)
        self.vae = Once(reader, self._make_vae)
        self._loras = Once(reader, self._make_loras)

    def _make_loader(self, node: ComfyNode) -> str:
        name = self._draft.file("checkpoint", self._read.value(node, "ckpt_name"))
        return self._draft.add(
            "loader", "CheckpointLoader", {"checkpoint": self._draft.ask("checkpoint", "string", name)}
        )

    def _make_loras(self, node: ComfyNode) -> tuple[str, str]:
        """Return the model and the text encoders with all LoRAs of a node."""
        base = self.model(self._read.link(node, "model"))
        model, text = base.ref, f"${base.loader}.text_encoders"
        if isinstance(node.inputs.get("clip"), Link):
            text = self.clip(self._read.link(node, "clip")).ref
        for name, strength, text_strength in self._loras_of(node):
            ports: Tree = {
                "model": model,
                "text_encoders": text,
                "lora": literal(self._draft.file("lora", name)),
                "model_strength": strength,
                "text_strength": text_strength if isinstance(node.inputs.get("clip"), Link) else 0,
            }
            lora = self._draft.add("lora", "LoRA", ports)
            model, text = f"${lora}.model", f"${lora}.text_encoders"
        return model, text

    def _loras_of(self, node: ComfyNode) -> Iterator[tuple[Json, Json, Json]]:
        """Return the name of each LoRA, and its strengths in the UNet and in the text encoders."""
        if node.type != POWER_LORAS:
            strength = self._read.value(node, "strength_model", 1.0)
            yield self._read.value(node, "lora_name"), strength, self._read.value(node, "strength_clip", 1.0)
            return
        for port, row in node.inputs.items():
            if isinstance(row, dict) and row.get("on") is True and row.get("lora") not in (None, "None"):
                strength, other = plain(node, port, row.get("strength", 1.0)), plain(node, port, row.get("strengthTwo"))
                yield row["lora"], strength, strength if other is None else other

    def _make_model(self, node: ComfyNode) -> ModelPart:
        match node.type:
            case "CheckpointLoaderSimple":
                loader = self.loader(Link(node.id, 0))
                return ModelPart(f"${loader}.model", loader)
            case "LoraLoader" | "LoraLoaderModelOnly" | "Power Lora Loader (rgthree)":
                model, _ = self._loras(Link(node.id, 0))
                return replace(self.model(self._read.link(node, "model")), ref=model)
            case "PerturbedAttentionGuidance":
                pag = self._draft.add("pag", "PAG", {"scale": self._read.value(node, "scale", 3.0)})
                return replace(self.model(self._read.link(node, "model")), guidance=f"${pag}.guidance")
            case "DifferentialDiffusion":
                return replace(self.model(self._read.link(node, "model")), soft_mask=True)
            case "RescaleCFG":
                return replace(
                    self.model(self._read.link(node, "model")), rescale=self._read.value(node, "multiplier", 0.7)
                )
            case "ModelSamplingDiscrete":
                return self._told(node)
        raise nothing("model", node)

    def _told(self, node: ComfyNode) -> ModelPart:
        """Tell the loader what the checkpoint predicts."""
        part = self.model(self._read.link(node, "model"))
        sampling = self._read.value(node, "sampling")
        known = {"eps": "epsilon", "v_prediction": "v_prediction"}
        if sampling not in known:
            raise UsageError(f"ModelSamplingDiscrete (node {node.id}) asks for {sampling!r}, which cannot be imported")
        self._draft.set(part.loader, "prediction", known[str(sampling)])
        if self._read.value(node, "zsnr") is True:
            self._draft.set(part.loader, "zero_terminal_snr", "yes")
        return part

    def _make_clip(self, node: ComfyNode) -> ClipPart:
        match node.type:
            case "CheckpointLoaderSimple":
                return ClipPart(f"${self.loader(Link(node.id, 0))}.text_encoders")
            case "LoraLoader" | "Power Lora Loader (rgthree)":
                _, text = self._loras(Link(node.id, 0))
                return replace(self.clip(self._read.link(node, "clip")), ref=text)
            case "CLIPSetLastLayer":
                layer = self._read.value(node, "stop_at_clip_layer", -1)
                return replace(
                    self.clip(self._read.link(node, "clip")), skip=-layer if isinstance(layer, int) else layer
                )
        raise nothing("text encoders", node)

    def _make_vae(self, node: ComfyNode) -> str:
        match node.type:
            case "CheckpointLoaderSimple":
                return f"${self.loader(Link(node.id, 0))}.vae"
            case "VAELoader":
                loaders = [other for other in self._read.workflow.values() if other.type == "CheckpointLoaderSimple"]
                if not loaders:
                    raise UsageError("the workflow loads no checkpoint", hint="Add a CheckpointLoaderSimple.")
                bundled = f"${self.loader(Link(loaders[0].id, 0))}.vae"
                name = literal(self._draft.file("vae", self._read.value(node, "vae_name")))
                return f"${self._draft.add('vae', 'VAE', {'bundled': bundled, 'override': name})}.vae"
        raise nothing("VAE", node)
