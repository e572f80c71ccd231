"""What a LoRA file holds: which layers it changes, told from its header alone."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Literal

from engine.errors import AssetRefused
from nodes.sdxl.checkpoint import is_lora
from nodes.sdxl.header import Header, read_header

Part = Literal["unet", "text_encoder", "text_encoder_2"]

PREFIXES: Mapping[Part, tuple[str, ...]] = {
    "unet": ("lora_unet_", "unet.", "diffusion_model."),
    "text_encoder": ("lora_te1_", "text_encoder."),
    "text_encoder_2": ("lora_te2_", "text_encoder_2."),
}
"""How layers are named: by kohya's scripts, by diffusers with peft, and by ComfyUI."""

_ENDS = {
    "lora_down.weight": "down",
    "lora_A.weight": "down",
    "lora.down.weight": "down",
    "lora_up.weight": "up",
    "lora_B.weight": "up",
    "lora.up.weight": "up",
    "alpha": "alpha",
}
_END = re.compile(r"(.+?)\.(" + "|".join(map(re.escape, _ENDS)) + ")")
_OTHER_KINDS = re.compile(r"hada_w|lokr_w|dora_scale|lora_mid|lora_magnitude|\.diff(_b)?$|\.(oft|boft)_")
_ADAPTER_METADATA = "lora_adapter_metadata"
_HINT = "Choose a LoRA that was trained for SDXL."


@dataclass(slots=True)
class Layer:
    """The names of the tensors that change one layer; `alpha` is empty where the file has none."""

    down: str = ""
    up: str = ""
    alpha: str = ""


@dataclass(frozen=True, slots=True)
class LoraFile:
    """The layers a LoRA changes, and the alpha of each part of the model where its metadata tells it."""

    name: str
    layers: Mapping[str, Layer]
    alphas: Mapping[Part, float] = field(default_factory=dict)

    def layers_of(self, part: Part) -> dict[str, Layer]:
        """Return the layers that belong to one part of a model."""
        return {name: layer for name, layer in self.layers.items() if name.startswith(PREFIXES[part])}


def inspect_lora(path: Path) -> LoraFile:
    """Read which layers a LoRA changes; raises AssetMissing, or AssetRefused where it is none or of another kind."""
    header = read_header(path)
    other = next((name for name in header.tensors if _OTHER_KINDS.search(name)), None)
    if other is not None:
        raise AssetRefused(
            f"{header.name} is an adapter of a kind that is not supported: it holds {other[-60:]}",
            hint="Plain LoRA and LoCon files work; LoHa, LoKr, DoRA and OFT do not.",
        )
    if not is_lora(header) and not any(_END.fullmatch(name) for name in header.tensors):
        raise AssetRefused(f"{header.name} is not a LoRA", hint=_HINT)
    file = LoraFile(header.name, _layers(header), _alphas(header))
    if not any(file.layers_of(part) for part in PREFIXES):
        example = next(iter(file.layers), "nothing")
        raise AssetRefused(f"{header.name} changes no layer of an SDXL model, but {example[:60]}", hint=_HINT)
    return file


def _layers(header: Header) -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    for name in header.tensors:
        match = _END.fullmatch(name)
        if match:
            setattr(layers.setdefault(match[1], Layer()), _ENDS[match[2]], name)
    broken = next((name for name, layer in layers.items() if not (layer.down and layer.up)), None)
    if broken is not None:
        raise AssetRefused(f"{header.name} is not whole: {broken[:100]} lacks half of its pair", hint=_HINT)
    alphas = [layer.alpha for layer in layers.values() if layer.alpha]
    odd = next((name for name in alphas if prod(header.tensors[name].shape) != 1), None)
    if odd is not None:
        raise AssetRefused(f"{header.name} is damaged: {odd[:100]} is not one number", hint=_HINT)
    return layers


def _alphas(header: Header) -> dict[Part, float]:
    """Return the alphas that diffusers writes into the metadata."""
    try:
        told = json.loads(header.metadata.get(_ADAPTER_METADATA, "{}"))
        return {part: float(told[f"{part}.lora_alpha"]) for part in PREFIXES if f"{part}.lora_alpha" in told}
    except (ValueError, TypeError, RecursionError) as error:
        raise AssetRefused(f"{header.name} carries settings under {_ADAPTER_METADATA} that cannot be read") from error
