"""What a ControlNet file holds, told from its header alone."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import AssetRefused
from nodes.sdxl.checkpoint import CHANNELS, is_control_net, is_lora
from nodes.sdxl.configuration import UNetConfig, configuration_of
from nodes.sdxl.header import Header, read_header
from nodes.sdxl.layout import CONTROL, UNET, Place, control_places

_OTHERS: Mapping[str, re.Pattern[str]] = {
    "a Control-LoRA": re.compile(r"lora_controlnet$"),
    "a ControlNet-LLLite": re.compile(r"lllite_"),
    "a union ControlNet in another layout than diffusers'": re.compile(
        r"control_model\.(control_add_embedding|task_embedding|spatial_ch_projs)"
    ),
    "a T2I-Adapter": re.compile(r"(adapter\.)?body\."),
    "an IP-Adapter": re.compile(r"(ip_adapter|image_proj)\."),
    "a ControlNet for Flux or Stable Diffusion 3": re.compile(r"(controlnet_blocks|controlnet_x_embedder)\."),
}
"""What is taken for a ControlNet and is none, by how its tensors' names start."""

_HINT = "Choose a ControlNet for SDXL that was trained for one kind of picture, as a .safetensors file."
_RGB = 3
_MOST_LAYERS = 64
_HINT_LAYERS = 7
"""Convolutions that halve the edges of a picture three times, to those of its latents, but for the last."""

_TASKS = "task_embedding"
_UNION_LAYER = re.compile(r"transformer_layes\.(\d{1,3})\.")
_MOST_KINDS = 64

UNION_HEADS = 8
"""Heads of the attention over the pictures of a union ControlNet; nothing in a file tells them."""

_DIFFUSERS_HINT = re.compile(r"controlnet_cond_embedding\.(?:conv_in|blocks\.(\d{1,3}))\.weight")
_ORIGINAL_HINT = re.compile(r"input_hint_block\.(\d{1,3})\.weight")

Block = Literal["DownBlock2D", "CrossAttnDownBlock2D"]


@dataclass(frozen=True, slots=True)
class Union:
    """What a union ControlNet has more than others: the kinds of pictures that it knows, and how it tells them apart.

    `channels` and `layers` are those of the transformer over its pictures.
    """

    kinds: int
    channels: int
    layers: int


@dataclass(frozen=True, slots=True)
class ControlFile:
    """A ControlNet that can be loaded.

    `unet` is the configuration of the UNet that it was made for; `depths` counts the transformer layers in each level
    of its own, `middle` those in its middle, 0 where there is no attention; `hints` are the channels of the
    convolutions over the picture. `prefix` is what stands before the names of its original layout, None where the file
    is in that of diffusers.
    """

    name: str
    unet: UNetConfig
    depths: tuple[int, ...]
    middle: int
    hints: tuple[int, ...]
    prefix: str | None
    union: Union | None = None
    """None where it follows one kind of pictures."""

    def places(self, names: Collection[str]) -> dict[str, Place]:
        """Return where in the file each parameter of diffusers' ControlNetModel is."""
        return _places(names, self.unet, self.prefix)


def inspect_control_net(path: Path) -> ControlFile:
    """Read what a ControlNet is; raises AssetMissing, or AssetRefused with what it is instead and what to do."""
    header = read_header(path)
    _refuse_others(header)
    prefix = _prefix(header)
    unet = configuration_of(header).unet
    _refuse_other_models(header, unet, prefix)
    depths = tuple(
        _depth(header, unet, prefix, f"down_blocks.{level}") for level in range(len(unet.block_out_channels))
    )
    middle = _depth(header, unet, prefix, "mid_block")
    if depths[-1] and middle and depths[-1] != middle:
        raise AssetRefused(
            f"{header.name} is not an SDXL ControlNet: its middle has {middle} transformer layers, the level before it "
            f"{depths[-1]}",
            hint=_HINT,
        )
    union = _union(header, prefix)
    if union is not None and not middle:
        raise AssetRefused(f"{header.name} is a union ControlNet without attention in its middle", hint=_HINT)
    return ControlFile(header.name, unet, depths, middle, _hints(header, prefix), prefix, union)


def _refuse_others(header: Header) -> None:
    for what, names in _OTHERS.items():
        if any(names.match(name) for name in header.tensors):
            raise AssetRefused(f"{header.name} is {what}; these are not supported", hint=_HINT)
    if not is_control_net(header):
        raise AssetRefused(f"{header.name} {_instead(header)}", hint=_HINT)


def _instead(header: Header) -> str:
    if is_lora(header):
        return "is a LoRA, not a ControlNet"
    if header.has(UNET):
        return "is a checkpoint, not a ControlNet"
    return "is not a ControlNet: it has no layers for a picture to follow"


def _prefix(header: Header) -> str | None:
    if header.has("controlnet_cond_embedding."):
        return None
    return CONTROL if header.has(CONTROL) else ""


def _places(names: Collection[str], unet: UNetConfig, prefix: str | None) -> dict[str, Place]:
    if prefix is None:
        return {name: Place(name) for name in names}
    return control_places(names, unet.layers_per_block, prefix)


def _shape(header: Header, unet: UNetConfig, prefix: str | None, name: str) -> tuple[int, ...]:
    """Return the shape of a weight by its name in diffusers, empty where it is not there."""
    info = header.tensors.get(_places([name], unet, prefix)[name].key)
    return () if info is None else info.shape


def _refuse_other_models(header: Header, unet: UNetConfig, prefix: str | None) -> None:
    """Raise AssetRefused where the ControlNet was made for another UNet than SDXL's, or the one it says."""
    added = _shape(header, unet, prefix, "add_embedding.linear_1.weight")
    if not added:
        raise AssetRefused(
            f"{header.name} is a ControlNet for Stable Diffusion 1.x or 2.x, not SDXL: it is told no picture sizes",
            hint=_HINT,
        )
    weights = {"conv_in.weight": (unet.block_out_channels[0], CHANNELS)}
    weights["add_embedding.linear_1.weight"] = (
        4 * unet.block_out_channels[0],
        unet.projection_class_embeddings_input_dim,
    )
    for level, channels in enumerate(unet.block_out_channels):
        before = unet.block_out_channels[max(level - 1, 0)]
        weights[f"down_blocks.{level}.resnets.0.conv1.weight"] = (channels, before)
    for name, expected in weights.items():
        own = _shape(header, unet, prefix, name)[:2]
        if own != expected:
            raise AssetRefused(
                f"{header.name} was made for another model than SDXL: {name} has the shape {list(own)}, not "
                f"{list(expected)}",
                hint=_HINT,
            )


def _depth(header: Header, unet: UNetConfig, prefix: str | None, block: str) -> int:
    """Count the transformer layers of a block's first attention."""
    norm = f"{block}.attentions.0.norm.weight"
    before = _places([norm], unet, prefix)[norm].key.removesuffix("norm.weight") + "transformer_blocks."
    found = {name.removeprefix(before).partition(".")[0] for name in header.tensors if name.startswith(before)}
    if len(found) > _MOST_LAYERS:
        raise AssetRefused(f"{header.name} is not an SDXL ControlNet: {block} has {len(found)} layers", hint=_HINT)
    return len(found)


def _union(header: Header, prefix: str | None) -> Union | None:
    """Return what makes a file a union ControlNet (xinsir's, and those trained like them); None where nothing does."""
    info = header.tensors.get(_TASKS)
    if info is None:
        return None
    is_usable = prefix is None and len(info.shape) == len("kc") and 0 not in info.shape
    if not is_usable or info.shape[0] > _MOST_KINDS or info.shape[1] % UNION_HEADS:
        raise AssetRefused(
            f"{header.name} is a union ControlNet of another structure: {_TASKS} has the shape {list(info.shape)}",
            hint=_HINT,
        )
    layers = {match[1] for name in header.tensors if (match := _UNION_LAYER.match(name)) is not None}
    if not layers or len(layers) > _MOST_LAYERS:
        raise AssetRefused(f"{header.name} is a union ControlNet of {len(layers)} layers over its pictures", hint=_HINT)
    return Union(info.shape[0], info.shape[1], len(layers))


def _hints(header: Header, prefix: str | None) -> tuple[int, ...]:
    """Return the channels of the convolutions over the picture, from the first to the last that shrinks it."""
    pattern = _DIFFUSERS_HINT if prefix is None else _ORIGINAL_HINT
    found = {}
    for name, info in header.tensors.items():
        match = pattern.fullmatch(name.removeprefix(prefix or ""))
        if match is not None:
            found[int(match[1] or 0) + int(prefix is None and match[1] is not None)] = info.shape
    shapes = [found[number] for number in sorted(found)]
    if prefix is not None:
        shapes = shapes[:-1]
    if len(shapes) != _HINT_LAYERS or any(len(shape) != len("oihw") or 0 in shape for shape in shapes):
        raise AssetRefused(
            f"{header.name} is not an SDXL ControlNet: its layers for the picture have another structure", hint=_HINT
        )
    if shapes[0][1] != _RGB:
        raise AssetRefused(
            f"{header.name} follows pictures of {shapes[0][1]} channels, not of {_RGB} as they are here", hint=_HINT
        )
    return tuple(shape[0] for shape in shapes[::2])
