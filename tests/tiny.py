"""An SDXL of 0.3 million parameters, made in-process: parts and layout of the real one, with random weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from nodes.sdxl.configuration import Configuration
from nodes.sdxl.model import LiveModel
from nodes.sdxl.text import LiveTextEncoders
from nodes.sdxl.vae import LiveVae
from tools.single_file import configuration_metadata, describe, model_spec, single_file_tensors, write_safetensors

WORDS = ("girl", "hair", "blue", "red", "cat", "face", "smile", "bad")


def byte_symbols() -> list[str]:
    """Return the 256 characters that stand for bytes in CLIP's vocabulary, in its order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]


def merges() -> list[tuple[str, str]]:
    """Return byte-pair merges that make each of WORDS one token."""
    found: dict[tuple[str, str], None] = {}
    for word in WORDS:
        left = word[0]
        for letter in [*word[1:-1], word[-1] + "</w>"]:
            found[left, letter] = None
            left += letter
    return list(found)


def vocabulary() -> dict[str, int]:
    """Return the vocabulary that belongs to `merges`, with the end of text as its highest id."""
    symbols = byte_symbols()
    entries = [*symbols, *(symbol + "</w>" for symbol in symbols), *(left + right for left, right in merges())]
    return {text: number for number, text in enumerate([*entries, "<|startoftext|>", "<|endoftext|>"])}


def tokenizer(pad_token: str = "<|endoftext|>") -> CLIPTokenizer:
    """Return a tokenizer; the second one of SDXL pads with '!'."""
    return CLIPTokenizer(
        vocab=vocabulary(),
        merges=merges(),
        model_max_length=77,
        pad_token=pad_token,
        clean_up_tokenization_spaces=False,
    )


def text_config(width: int, pad: int, activation: str) -> CLIPTextConfig:
    """Return the config of a two-layer text encoder."""
    size = len(vocabulary())
    return CLIPTextConfig(
        vocab_size=size,
        bos_token_id=size - 2,
        eos_token_id=size - 1,
        pad_token_id=pad,
        max_position_embeddings=77,
        hidden_size=width,
        intermediate_size=2 * width,
        num_attention_heads=2,
        num_hidden_layers=2,
        projection_dim=width,
        hidden_act=activation,
    )


def unet(seed: int = 0, in_channels: int = 4) -> UNet2DConditionModel:
    """Return a UNet with the blocks of SDXL."""
    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=in_channels,
        out_channels=4,
        layers_per_block=2,
        block_out_channels=(8, 16, 16),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 1, 2],
        attention_head_dim=[1, 2, 2],
        cross_attention_dim=16 + 32,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
    ).eval()


def vae(seed: int = 0) -> AutoencoderKL:
    """Return a VAE that shrinks eightfold."""
    torch.manual_seed(seed)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(4, 4, 8, 8),
        layers_per_block=2,
        norm_num_groups=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=128,
        scaling_factor=0.13025,
        force_upcast=True,
    ).eval()


def scheduler(prediction_type: str = "epsilon") -> EulerDiscreteScheduler:
    """Return the scheduler that SDXL's own config names."""
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        timestep_spacing="leading",
        interpolation_type="linear",
        prediction_type=prediction_type,
    )


@dataclass(frozen=True, slots=True)
class Tiny:
    """All parts of a tiny SDXL, as the pool would hand them out."""

    model: LiveModel
    text: LiveTextEncoders
    vae: LiveVae

    def pipeline(self) -> StableDiffusionXLPipeline:
        """Return diffusers' own pipeline over the same modules, the oracle."""
        return StableDiffusionXLPipeline(
            vae=self.vae.vae,
            text_encoder=self.text.text_encoder,
            text_encoder_2=self.text.text_encoder_2,
            tokenizer=self.text.tokenizer,
            tokenizer_2=self.text.tokenizer_2,
            unet=self.model.unet,
            scheduler=scheduler(),
            add_watermarker=False,
        )


def text_encoders(seed: int = 0) -> LiveTextEncoders:
    """Return both text encoders; their widths differ, since loaders tell them apart by it."""
    size = len(vocabulary())
    torch.manual_seed(seed)
    return LiveTextEncoders(
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer("!"),
        text_encoder=CLIPTextModel(text_config(16, size - 1, "quick_gelu")).eval(),
        text_encoder_2=CLIPTextModelWithProjection(text_config(32, 0, "gelu")).eval(),
    )


def tiny(seed: int = 0) -> Tiny:
    """Return a whole tiny SDXL; the same seed gives the same weights."""
    return Tiny(
        model=LiveModel(unet(seed), dict(scheduler().config)),
        text=text_encoders(seed),
        vae=LiveVae(vae(seed)),
    )


def write_checkpoint(
    path: Path,
    *,
    parts: Tiny | None = None,
    dtype: torch.dtype = torch.float32,
    size: tuple[int, int] = (128, 128),
    markers: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a tiny SDXL as a single file that carries its configuration, and return its path.

    `parts` are written instead of those of seed 0; `markers` are added as empty tensors (`v_pred`, `ztsnr`); tensors
    whose names start as one of `without` are left out; `metadata` is added to, or replaces, what is written by default.
    """
    configuration, whole = _written(dtype) if parts is None else _described(parts, dtype)
    tensors = {name: tensor for name, tensor in whole.items() if not (without and name.startswith(without))}
    tensors |= {marker: torch.zeros(0) for marker in markers}
    told = {**model_spec("tiny", size), **configuration_metadata(configuration), **(metadata or {})}
    write_safetensors(path, tensors, told)
    return path


@cache
def _written(dtype: torch.dtype) -> tuple[Configuration, dict[str, torch.Tensor]]:
    """Return what is written most often, made once."""
    return _described(tiny(), dtype)


def _described(parts: Tiny, dtype: torch.dtype) -> tuple[Configuration, dict[str, torch.Tensor]]:
    configuration = describe(parts.model, parts.text, parts.vae, merges())
    return configuration, single_file_tensors(parts.model, parts.text, parts.vae, configuration, dtype)
