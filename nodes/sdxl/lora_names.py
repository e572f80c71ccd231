"""How LoRA files name their tensors: which layer one belongs to, and what it is of it."""

import re
from collections.abc import Mapping
from typing import Literal

Part = Literal["unet", "text_encoder", "text_encoder_2"]

PREFIXES: Mapping[Part, tuple[str, ...]] = {
    "unet": ("lora_unet_", "unet.", "diffusion_model."),
    "text_encoder": ("lora_te1_", "text_encoder.", "text_encoders.clip_l.transformer."),
    "text_encoder_2": ("lora_te2_", "text_encoder_2.", "text_encoders.clip_g.transformer."),
}
"""How layers are named: by kohya's scripts, by diffusers with peft, and by ComfyUI."""

_LOKR = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
_LOHA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")
_ENDS = {
    "lora_down.weight": "lora_down",
    "lora_A.weight": "lora_down",
    "lora.down.weight": "lora_down",
    "lora_linear_layer.down.weight": "lora_down",
    "lora_up.weight": "lora_up",
    "lora_B.weight": "lora_up",
    "lora.up.weight": "lora_up",
    "lora_linear_layer.up.weight": "lora_up",
    "alpha": "alpha",
    "dora_scale": "dora_scale",
    "diff": "diff",
    "w_norm": "diff",
    **{role: role for role in (*_LOKR, *_LOHA)},
}
_END = re.compile(r"(.+?)\.(" + "|".join(map(re.escape, _ENDS)) + ")")
_BIAS = re.compile(r"(.+?)\.(?:diff_b|b_norm)")
_OLD = re.compile(r"(.+?)(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight")
"""How diffusers named the layers of attention before 2024."""


def layer_and_role(name: str) -> tuple[str, str] | None:
    """Return the layer that a tensor belongs to and what it is of it, or None where its name says neither.

    The bias of a layer counts as a layer of its own, with `.bias` behind its name.
    """
    if match := _END.fullmatch(name):
        return match[1], _ENDS[match[2]]
    if match := _BIAS.fullmatch(name):
        return f"{match[1]}.bias", "diff"
    if match := _OLD.fullmatch(name):
        layer, kind, side = match.groups()
        if layer.startswith("text_encoder"):
            return f"{layer}.{kind}_proj", f"lora_{side}"
        return f"{layer}.to_{kind}" + (".0" if kind == "out" else ""), f"lora_{side}"
    return None
