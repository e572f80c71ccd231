"""Where each parameter of diffusers' SDXL lies in a single-file checkpoint.

The layout is the one Stability AI's generative-models wrote: `model.diffusion_model.` holds the UNet,
`first_stage_model.` the VAE, `conditioner.embedders.0.transformer.` CLIP-L as transformers writes it, and
`conditioner.embedders.1.model.` CLIP-bigG as open_clip writes it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "conditioner.embedders.0.transformer."
TEXT_2 = "conditioner.embedders.1.model."
CONTROL = "control_model."

_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP_ENDS = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}
_OPEN_CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_PROJECTION = "text_projection.weight"
_BLOCK = re.compile(r"(down_blocks|mid_block|up_blocks)\.(?:(\d+)\.)?([a-z]+)\.(\d+)\.(.+)")
_CLIP_LAYER = re.compile(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_VAE_LEVEL = re.compile(r"(encoder\.down|decoder\.up)_blocks\.(\d+)\.(resnets|downsamplers|upsamplers)\.(\d+)\.(.+)")
_VAE_MIDDLE = re.compile(r"(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d+)\.(.+)\.(weight|bias)")


class LayoutError(ValueError):
    """A parameter has no place in the single-file layout."""


@dataclass(frozen=True, slots=True)
class Place:
    """The tensor a parameter comes from: whole, transposed, or one third of stacked rows (query, key, value)."""

    key: str
    third: int | None = None
    transposed: bool = False


def unet_places(names: Collection[str], layers_per_block: int) -> dict[str, Place]:
    """Return the place of each UNet parameter."""
    attended = {match[1] for name in names if (match := re.match(r"up_blocks\.(\d+)\.attentions\.", name))}
    levels = {int(level) for level in attended}
    return {name: Place(UNET + _unet_key(name, layers_per_block, levels)) for name in names}


def _unet_key(name: str, layers: int, attended: set[int]) -> str:
    part, leaf = name.rsplit(".", 1)
    if part in _UNET_ENDS:
        return f"{_UNET_ENDS[part]}.{leaf}"
    match = _BLOCK.fullmatch(name)
    if match is None:
        raise LayoutError(f"the UNet parameter {name} has no place in the single-file layout")
    where, level, kind, index, rest = match[1], int(match[2] or 0), match[3], int(match[4]), match[5]
    if kind == "resnets":
        part, leaf = rest.rsplit(".", 1)
        rest = f"{_UNET_RESNET[part]}.{leaf}"
    attention = int(kind == "attentions")
    if where == "mid_block":
        return f"middle_block.{1 if attention else 2 * index}.{rest}"
    if kind == "downsamplers":
        return f"input_blocks.{(level + 1) * (layers + 1)}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        behind = 2 if level in attended else 1
        return f"output_blocks.{level * (layers + 1) + layers}.{behind}.{rest}"
    block = level * (layers + 1) + index
    return (
        f"input_blocks.{block + 1}.{attention}.{rest}"
        if where == "down_blocks"
        else f"output_blocks.{block}.{attention}.{rest}"
    )


def control_places(names: Collection[str], layers_per_block: int, prefix: str = CONTROL) -> dict[str, Place]:
    """Return the place of each ControlNet parameter, in the layout of its inventor (lllyasviel/ControlNet)."""
    hints = {match[1] for name in names if (match := re.match(r"controlnet_cond_embedding\.(blocks\.\d+)\.", name))}
    last = 2 * (len(hints) + 1)
    return {name: Place(prefix + _control_key(name, layers_per_block, last)) for name in names}


def _control_key(name: str, layers: int, last: int) -> str:
    part, leaf = name.rsplit(".", 1)
    if part == "controlnet_mid_block":
        return f"middle_block_out.0.{leaf}"
    if part.startswith("controlnet_down_blocks."):
        return f"zero_convs.{part.removeprefix('controlnet_down_blocks.')}.0.{leaf}"
    if part.startswith("controlnet_cond_embedding."):
        part = part.removeprefix("controlnet_cond_embedding.")
        ends = {"conv_in": 0, "conv_out": last}
        # An activation stands behind each convolution.
        number = ends[part] if part in ends else 2 * (int(part.removeprefix("blocks.")) + 1)
        return f"input_hint_block.{number}.{leaf}"
    return _unet_key(name, layers, set())


def vae_places(names: Collection[str], levels: int, prefix: str = VAE) -> dict[str, Place]:
    """Return the place of each VAE parameter; the layout counts the decoder's levels from the full resolution."""
    return {name: Place(prefix + _vae_key(name, levels)) for name in names}


def _vae_key(name: str, levels: int) -> str:
    if match := _VAE_MIDDLE.fullmatch(name):
        side, kind, index, part, leaf = match.groups()
        if kind == "attentions":
            return f"{side}.mid.attn_1.{_VAE_ATTENTION[part]}.{leaf}"
        return f"{side}.mid.block_{int(index) + 1}.{_shortcut(part)}.{leaf}"
    if match := _VAE_LEVEL.fullmatch(name):
        side, kind, rest = match[1], match[3], match[5]
        level = int(match[2]) if side == "encoder.down" else levels - 1 - int(match[2])
        if kind == "resnets":
            return f"{side}.{level}.block.{match[4]}.{_shortcut(rest)}"
        return f"{side}.{level}.{kind.removesuffix('rs')}.{rest}"
    return name.replace("conv_norm_out", "norm_out")


def _shortcut(rest: str) -> str:
    return rest.replace("conv_shortcut", "nin_shortcut")


def text_places(names: Collection[str]) -> dict[str, Place]:
    """Return the place of each parameter of CLIP-L; newer transformers leave out `text_model.`, the layout has it."""
    return {name: Place(f"{TEXT}text_model.{name.removeprefix('text_model.')}") for name in names}


def text_2_places(names: Collection[str], keys: Collection[str] = ()) -> dict[str, Place]:
    """Return the place of each parameter of CLIP-bigG; query, key and value are stacked, the projection transposed.

    Of the tensors `keys` in a file, the projection may instead be one that diffusers' script converted, as it was.
    """
    places = {name: _open_clip_place(name.removeprefix("text_model.")) for name in names}
    if _PROJECTION in places and TEXT_2 + _PROJECTION in keys:
        places[_PROJECTION] = Place(TEXT_2 + _PROJECTION)
    return places


def _open_clip_place(name: str) -> Place:
    if name == _PROJECTION:
        return Place(TEXT_2 + "text_projection", transposed=True)
    if name in _OPEN_CLIP_ENDS:
        return Place(TEXT_2 + _OPEN_CLIP_ENDS[name])
    match = _CLIP_LAYER.fullmatch(name)
    if match is None:
        raise LayoutError(f"the text encoder parameter {name} has no place in the single-file layout")
    layer, part, leaf = match.groups()
    block = f"{TEXT_2}transformer.resblocks.{layer}."
    if part in _OPEN_CLIP_LAYER:
        return Place(f"{block}{_OPEN_CLIP_LAYER[part]}.{leaf}")
    third = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj").index(part)
    return Place(f"{block}attn.in_proj_{leaf}", third=third)
