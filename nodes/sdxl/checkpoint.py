"""What kind of checkpoint a file is, told from its header alone."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import AssetRefused
from nodes.sdxl.configuration import Configuration, VaeConfig, configuration_of, full_size, vae_configuration_of
from nodes.sdxl.header import Header, read_header
from nodes.sdxl.layout import CONTROL, TEXT, TEXT_2, UNET, VAE

Prediction = Literal["epsilon", "v_prediction"]

VAE_SIDES = ("encoder.", "decoder.")
_LORA = re.compile(
    r"(?:lora_(?:down|up|mid|A|B)|lora(?:_linear_layer)?\.(?:down|up)|hada_w[12]_[ab]|lokr_w[12](?:_[ab])?"
    r"|\.diff|\.w_norm)"
    r"(?:\.weight)?$"
)
_SCALED = re.compile(r"(?:^|\.)(?:scaled_fp8|scale_weight|weight_scale|comfy_quant)$")
"""What stands beside 8-bit weights that mean something only times a scale, as ComfyUI writes them."""

_CONTROL_HINTS = (
    "controlnet_cond_embedding.conv_in.weight",
    "input_hint_block.0.weight",
    CONTROL + "input_hint_block.0.weight",
)
"""The first convolution over the picture that a ControlNet follows."""

_EDM = ("edm_mean", "edm_std", "edm_vpred.sigma_max", "edm_vpred.sigma_min")
CHANNELS, INPAINTING_CHANNELS = 4, 9
SMALLEST, LARGEST = 64, 4096
"""Edges in pixels that a file may name as its native ones."""

_PREDICTION_KEYS = ("modelspec.prediction_type", "modelspec.predict_key")
"""The key of the ModelSpec, and the one that ComfyUI writes."""

_FIRST_CONVOLUTION = UNET + "input_blocks.0.0.weight"
_CLIP_L = TEXT + "text_model.embeddings.position_embedding.weight"
_CLIP_BIGG = TEXT_2 + "positional_embedding"
_SD1_CLIP = "cond_stage_model.transformer."
_SD2_CLIP = "cond_stage_model.model."
_REFINER_CLIP = "conditioner.embedders.0.model."
_PICK_VAE = "Choose a .safetensors file of an SDXL VAE, or `none` for the checkpoint's own."
_PICK = "Choose an SDXL text-to-image checkpoint: one .safetensors file with UNet, both text encoders and VAE."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An SDXL checkpoint that can be loaded: native size in pixels (width, height) and how it was trained."""

    size: tuple[int, int]
    prediction: Prediction
    zero_terminal_snr: bool
    configuration: Configuration
    has_vae: bool = True

    @property
    def has_own_latents(self) -> bool:
        """Whether its VAE is of another shape than SDXL's, so that no other VAE understands its latents."""
        return self.configuration.vae != full_size().vae


def inspect_checkpoint(path: Path) -> Checkpoint:
    """Read what a checkpoint is; raises AssetMissing, or AssetRefused with what it is instead and what to do."""
    header = read_header(path)
    _refuse_others(header)
    _refuse_incomplete(header)
    configuration = configuration_of(header)
    terminal = _zero_terminal_snr(header) or configuration.scheduler.rescale_betas_zero_snr
    prediction = _prediction(header, configuration)
    return Checkpoint(_size(header, configuration), prediction, terminal, configuration, _has_vae(header))


def inspect_vae(path: Path) -> VaeConfig:
    """Read what a VAE file is, bare or inside a checkpoint; raises AssetMissing or AssetRefused."""
    header = read_header(path)
    if header.has(_SD1_CLIP) or header.has(_SD2_CLIP):
        raise AssetRefused(
            f"{header.name} is a Stable Diffusion 1.x or 2.x checkpoint, whose VAE has other latents than SDXL's",
            hint=_PICK_VAE,
        )
    if vae_prefix(header) is None:
        raise AssetRefused(f"{header.name} holds no VAE", hint=_PICK_VAE)
    return vae_configuration_of(header)


def vae_prefix(header: Header) -> str | None:
    """Return what stands before the VAE's names in a file, or None where it has no VAE."""
    return next((prefix for prefix in (VAE, "") if all(header.has(prefix + side) for side in VAE_SIDES)), None)


def is_lora(header: Header) -> bool:
    """Tell whether a file holds low-rank adapters."""
    return any(_LORA.search(name) for name in header.tensors)


def is_control_net(header: Header) -> bool:
    """Tell whether a file holds a ControlNet, in either layout."""
    return any(name in header.tensors for name in _CONTROL_HINTS)


def _refuse_others(header: Header) -> None:
    if not header.tensors:
        raise AssetRefused(f"{header.name} holds no tensors", hint=_PICK)
    if is_lora(header):
        raise AssetRefused(
            f"{header.name} is a LoRA, not a checkpoint", hint="Give it to a LoRA node, behind a checkpoint loader."
        )
    if header.has(_SD1_CLIP):
        raise AssetRefused(f"{header.name} is a Stable Diffusion 1.x checkpoint, not SDXL", hint=_PICK)
    if header.has(_SD2_CLIP):
        raise AssetRefused(f"{header.name} is a Stable Diffusion 2.x checkpoint, not SDXL", hint=_PICK)
    if header.has(_REFINER_CLIP):
        raise AssetRefused(
            f"{header.name} is the SDXL refiner, which cannot draw on its own",
            hint="Choose the base checkpoint instead.",
        )
    if any(mark in header.tensors for mark in _EDM):
        raise AssetRefused(
            f"{header.name} was trained on another scale of noise (EDM) than SDXL, as CosXL and Playground 2.5 were",
            hint=_PICK,
        )
    if any(_SCALED.search(name) for name in header.tensors):
        raise AssetRefused(
            f"{header.name} has scaled 8-bit weights", hint="Choose the half-precision file of the same model."
        )
    if not header.has(UNET):
        raise AssetRefused(f"{header.name} {_instead(header)}", hint=_PICK)


def _instead(header: Header) -> str:
    if vae_prefix(header) is not None:
        return "is a VAE, not a checkpoint"
    if is_control_net(header):
        return "is a ControlNet, not a checkpoint"
    if header.has("down_blocks.") or header.has("input_blocks."):
        return "holds a UNet alone, without text encoders and VAE"
    return "is not an SDXL checkpoint: it has no tensors under model.diffusion_model."


def _refuse_incomplete(header: Header) -> None:
    first = header.tensors.get(_FIRST_CONVOLUTION)
    if first is None or len(first.shape) != len("oihw"):
        raise AssetRefused(f"{header.name} is not an SDXL checkpoint: its UNet has another structure", hint=_PICK)
    channels = first.shape[1]
    if channels == INPAINTING_CHANNELS:
        raise AssetRefused(
            f"{header.name} is an SDXL inpainting checkpoint, whose UNet takes {channels} channels",
            hint="Choose the normal checkpoint: masks work with it.",
        )
    if channels != CHANNELS:
        raise AssetRefused(
            f"{header.name} has a UNet that takes {channels} channels; SDXL takes {CHANNELS}", hint=_PICK
        )
    parts = {
        "the first text encoder (CLIP-L)": _CLIP_L in header.tensors,
        "the second text encoder (CLIP-bigG)": _CLIP_BIGG in header.tensors,
    }
    absent = [part for part, there in parts.items() if not there]
    if len(absent) == len(parts) and not _has_vae(header):
        raise AssetRefused(f"{header.name} holds a UNet alone, without text encoders and VAE", hint=_PICK)
    if absent:
        raise AssetRefused(f"{header.name} lacks {' and '.join(absent)}", hint=_PICK)


def _has_vae(header: Header) -> bool:
    return all(header.has(VAE + side) for side in VAE_SIDES)


def _prediction(header: Header, configuration: Configuration) -> Prediction:
    said = [header.metadata.get(key, "").lower() for key in _PREDICTION_KEYS]
    if "v_pred" in header.tensors or any(word in {"v", "v_prediction", "v-prediction"} for word in said):
        return "v_prediction"
    return configuration.scheduler.prediction_type


def _zero_terminal_snr(header: Header) -> bool:
    return "ztsnr" in header.tensors or header.metadata.get("ss_zero_terminal_snr", "").lower() == "true"


def _size(header: Header, configuration: Configuration) -> tuple[int, int]:
    """Return the native (width, height): what the file says if it is sensible, else what its configuration implies."""
    match = re.fullmatch(r"(\d{2,5})x(\d{2,5})", header.metadata.get("modelspec.resolution", ""))
    if match:
        width, height = int(match[1]), int(match[2])
        if width % 8 == 0 and height % 8 == 0 and min(width, height) >= SMALLEST and max(width, height) <= LARGEST:
            return width, height
    side = configuration.unet.sample_size * 2 ** (len(configuration.vae.block_out_channels) - 1)
    return side, side
