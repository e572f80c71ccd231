"""Write an SDXL-shaped model as one .safetensors file in the layout of SDXL checkpoints, configuration inside."""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from safetensors.torch import save

from nodes.sdxl.configuration import (
    METADATA_KEY,
    Configuration,
    SchedulerConfig,
    TextConfig,
    TokenizerConfig,
    UNetConfig,
    VaeConfig,
)
from nodes.sdxl.layout import Place, text_2_places, text_places, unet_places, vae_places
from nodes.sdxl.model import LiveModel, empty_unet
from nodes.sdxl.text import LiveTextEncoders
from nodes.sdxl.vae import LiveVae, empty_vae

Tensors = dict[str, torch.Tensor]


def single_file_tensors(
    model: LiveModel, text: LiveTextEncoders, vae: LiveVae, configuration: Configuration, dtype: torch.dtype
) -> Tensors:
    """Return all weights by their names in the single-file layout; raises ValueError where one is not finite."""
    unet_weights, vae_weights = model.unet.state_dict(), vae.vae.state_dict()
    text_weights, text_2_weights = text.text_encoder.state_dict(), text.text_encoder_2.state_dict()
    levels = len(configuration.vae.block_out_channels)
    tensors = {
        **_placed(unet_weights, unet_places(unet_weights, configuration.unet.layers_per_block), dtype),
        **_placed(vae_weights, vae_places(vae_weights, levels), dtype),
        **_placed(text_weights, text_places(text_weights), dtype),
        **_placed(text_2_weights, text_2_places(text_2_weights), dtype),
    }
    return {name: _as_convolution(name, tensor) for name, tensor in tensors.items()}


def describe(
    model: LiveModel, text: LiveTextEncoders, vae: LiveVae, merges: Sequence[tuple[str, str]] | None
) -> Configuration:
    """Return the configuration of live parts; raises ValueError where they have settings it cannot express.

    `merges` None means CLIP's own vocabulary.
    """
    configuration = Configuration(
        unet=UNetConfig(**_known(UNetConfig, model.unet.config)),
        vae=VaeConfig(**_known(VaeConfig, vae.vae.config)),
        text_encoder=TextConfig(**_known(TextConfig, text.text_encoder.config.to_dict())),
        text_encoder_2=TextConfig(**_known(TextConfig, text.text_encoder_2.config.to_dict())),
        tokenizer=None
        if merges is None
        else TokenizerConfig(merges=tuple(f"{left} {right}" for left, right in merges)),
        scheduler=SchedulerConfig(**_known(SchedulerConfig, model.scheduler_config)),
    )
    _check_same(empty_unet(configuration.unet).config, model.unet.config)
    _check_same(empty_vae(configuration.vae).config, vae.vae.config)
    return configuration


def _known(part: type[BaseModel], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(settings[name]) for name in part.model_fields if name in settings}


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_same(expressed: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    for name, value in own.items():
        if name.startswith("_") or name == "force_upcast":
            continue
        told = expressed.get(name)
        if _plain(told) != _plain(value):
            raise ValueError(f"the configuration cannot express {name}={value!r}: it says {told!r}")


def _placed(weights: Mapping[str, torch.Tensor], places: Mapping[str, Place], dtype: torch.dtype) -> Tensors:
    """Move weights to their places; stacked thirds are joined in order."""
    placed: Tensors = {}
    stacks: dict[str, dict[int, torch.Tensor]] = {}
    for name, weight in weights.items():
        place, tensor = places[name], weight.detach().cpu().to(dtype)
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} is not finite in {dtype}")
        if place.third is not None:
            stacks.setdefault(place.key, {})[place.third] = tensor
        else:
            placed[place.key] = (tensor.T if place.transposed else tensor).contiguous()
    joined = {key: torch.cat([thirds[number] for number in range(3)]) for key, thirds in stacks.items()}
    return placed | joined


def _as_convolution(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Give the projections of the VAE's attention the 1x1 kernels that the layout has."""
    is_projection = ".mid.attn_1." in name and ".norm." not in name and tensor.ndim == 2
    return tensor[..., None, None] if is_projection else tensor


def model_spec(title: str, size: tuple[int, int], prediction_type: str = "epsilon", **fields: str) -> dict[str, str]:
    """Return ModelSpec metadata (https://github.com/Stability-AI/ModelSpec); `fields` such as license and author."""
    told = {
        "sai_model_spec": "1.0.0",
        "architecture": "stable-diffusion-xl-v1-base",
        "implementation": "https://github.com/Stability-AI/generative-models",
        "title": title,
        "resolution": f"{size[0]}x{size[1]}",
        "prediction_type": prediction_type,
        **fields,
    }
    return {f"modelspec.{key}": value for key, value in told.items()}


def write_safetensors(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write a .safetensors file whose bytes depend on its content alone: header and metadata are sorted."""
    raw = save(dict(sorted(tensors.items())))
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    entries = json.loads(raw[8:start])
    entries.pop("__metadata__", None)
    digest = "0x" + hashlib.sha256(raw[start:]).hexdigest()
    told = {**metadata, "format": "pt", "modelspec.hash_sha256": digest}
    header = {"__metadata__": dict(sorted(told.items())), **dict(sorted(entries.items()))}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[start:])


def configuration_metadata(configuration: Configuration) -> dict[str, str]:
    """Return the metadata entry by which a checkpoint carries its own configuration."""
    return {METADATA_KEY: json.dumps(configuration.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False)}
