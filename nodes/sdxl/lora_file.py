"""What a LoRA file holds: which layers it changes, told from its header alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

from engine.errors import AssetRefused
from nodes.sdxl.header import Header, read_header
from nodes.sdxl.lora_scale import Scale, read_scale

Part = Literal["unet", "text_encoder", "text_encoder_2"]

PREFIXES: Mapping[Part, tuple[str, ...]] = {
    "unet": ("lora_unet_", "unet.", "diffusion_model."),
    "text_encoder": ("lora_te1_", "text_encoder.", "text_encoders.clip_l.transformer."),
    "text_encoder_2": ("lora_te2_", "text_encoder_2.", "text_encoders.clip_g.transformer."),
}
"""How layers are named: by kohya's scripts, by diffusers with peft, and by ComfyUI."""

_ENDS = {
    "lora_down.weight": "down",
    "lora_A.weight": "down",
    "lora.down.weight": "down",
    "lora_linear_layer.down.weight": "down",
    "lora_up.weight": "up",
    "lora_B.weight": "up",
    "lora.up.weight": "up",
    "lora_linear_layer.up.weight": "up",
    "alpha": "alpha",
}
_END = re.compile(r"(.+?)\.(" + "|".join(map(re.escape, _ENDS)) + ")")
_OLD = re.compile(r"(.+?)(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight")
"""How diffusers named the layers of attention before 2024."""

_OTHER_KINDS = re.compile(r"hada_w|lokr_w|dora_scale|lora_mid|lora_magnitude|\.diff(_b)?$|\.(oft|boft)_")
_HINT = "Choose a LoRA that was trained for SDXL."
_NAMED = 3


@dataclass(slots=True)
class Layer:
    """The names of the tensors that change one layer; `alpha` is empty where the file has none."""

    down: str = ""
    up: str = ""
    alpha: str = ""


@dataclass(frozen=True, slots=True)
class LoraFile:
    """The layers a LoRA changes, and what its metadata says of how strongly, for each part of the model."""

    name: str
    layers: Mapping[str, Layer]
    scales: Mapping[Part, Scale]

    def layers_of(self, part: Part) -> dict[str, Layer]:
        """Return the layers that belong to one part of a model."""
        return {name: layer for name, layer in self.layers.items() if name.startswith(PREFIXES[part])}


def inspect_lora(path: Path) -> LoraFile:
    """Read which layers a LoRA changes.

    Raises AssetMissing, or AssetRefused where it is none, is of another kind, or holds anything that would be left out.
    """
    header = read_header(path)
    other = next((name for name in header.tensors if _OTHER_KINDS.search(name)), None)
    if other is not None:
        raise AssetRefused(
            f"{header.name} is an adapter of a kind that is not supported: it holds {other[-60:]}",
            hint="Plain LoRA and LoCon files work; LoHa, LoKr, DoRA and OFT do not.",
        )
    if not any(_tensor(name) for name in header.tensors):
        raise AssetRefused(f"{header.name} is not a LoRA", hint=_HINT)
    layers = _layers(header)
    _refuse_foreign(header.name, layers)
    return LoraFile(header.name, layers, {part: read_scale(header, part) for part in PREFIXES})


def _layers(header: Header) -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    unknown = []
    for name in header.tensors:
        found = _tensor(name)
        if found is None:
            unknown.append(name)
        else:
            setattr(layers.setdefault(found[0], Layer()), found[1], name)
    if unknown:
        raise AssetRefused(
            f"{header.name} holds tensors whose use is not known: {_few(unknown)}",
            hint="Leaving them out would draw something else than was trained; save the LoRA without them.",
        )
    broken = next((name for name, layer in layers.items() if not (layer.down and layer.up)), None)
    if broken is not None:
        raise AssetRefused(f"{header.name} is not whole: {broken[:100]} lacks half of its pair", hint=_HINT)
    alphas = [layer.alpha for layer in layers.values() if layer.alpha]
    odd = next((name for name in alphas if prod(header.tensors[name].shape) != 1), None)
    if odd is not None:
        raise AssetRefused(f"{header.name} is damaged: {odd[:100]} is not one number", hint=_HINT)
    return layers


def _tensor(name: str) -> tuple[str, str] | None:
    """Return the layer that a tensor belongs to and what it is of it, or None where its name says neither."""
    if match := _END.fullmatch(name):
        return match[1], _ENDS[match[2]]
    if match := _OLD.fullmatch(name):
        layer, kind, side = match.groups()
        if layer.startswith("text_encoder"):
            return f"{layer}.{kind}_proj", side
        return f"{layer}.to_{kind}" + (".0" if kind == "out" else ""), side
    return None


def _refuse_foreign(file: str, layers: Mapping[str, Layer]) -> None:
    prefixes = tuple(prefix for names in PREFIXES.values() for prefix in names)
    foreign = [name for name in layers if not name.startswith(prefixes)]
    if len(foreign) == len(layers):
        raise AssetRefused(f"{file} changes no layer of an SDXL model, but {_few(foreign)}", hint=_HINT)
    if foreign:
        raise AssetRefused(f"{file} also changes layers that an SDXL model does not have: {_few(foreign)}", hint=_HINT)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name[:80] for name in names[:_NAMED]) + more
