"""The sizes and settings of an SDXL-shaped model: the packaged full size, or what a checkpoint says of itself.

A checkpoint may carry its own configuration as JSON in its metadata; it comes from strangers, so every field is named,
typed and bounded here, and anything else in it is refused.
"""

from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import AssetRefused
from nodes.sdxl.header import Header

METADATA_KEY = "nova_graph.config"

Width = Annotated[int, Field(ge=1, le=16384)]
Depth = Annotated[int, Field(ge=1, le=64)]
TokenId = Annotated[int, Field(ge=0, le=100_000)]
Merge = Annotated[str, Field(min_length=3, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class UNetConfig(_Part):
    """The arguments of diffusers' UNet2DConditionModel that differ between SDXL-shaped models."""

    sample_size: Width
    in_channels: Width = 4
    out_channels: Width = 4
    layers_per_block: Annotated[int, Field(ge=1, le=8)]
    block_out_channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=6)]
    norm_num_groups: Width = 32
    down_block_types: tuple[Literal["DownBlock2D", "CrossAttnDownBlock2D"], ...]
    up_block_types: tuple[Literal["UpBlock2D", "CrossAttnUpBlock2D"], ...]
    transformer_layers_per_block: tuple[Depth, ...]
    attention_head_dim: tuple[Width, ...]
    cross_attention_dim: Width
    use_linear_projection: bool = True
    addition_embed_type: Literal["text_time"] = "text_time"
    addition_time_embed_dim: Width
    projection_class_embeddings_input_dim: Width


class VaeConfig(_Part):
    """The arguments of diffusers' AutoencoderKL that differ between SDXL-shaped models."""

    sample_size: Width
    in_channels: Literal[3] = 3
    out_channels: Literal[3] = 3
    latent_channels: Width = 4
    layers_per_block: Annotated[int, Field(ge=1, le=8)]
    block_out_channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=6)]
    norm_num_groups: Width = 32
    scaling_factor: Annotated[float, Field(gt=0)]


class TextConfig(_Part):
    """The arguments of transformers' CLIPTextConfig that differ between SDXL-shaped models."""

    vocab_size: Annotated[int, Field(ge=1, le=100_000)]
    bos_token_id: TokenId
    eos_token_id: TokenId
    pad_token_id: TokenId
    max_position_embeddings: Literal[77] = 77
    hidden_size: Width
    intermediate_size: Width
    num_attention_heads: Depth
    num_hidden_layers: Depth
    projection_dim: Width
    hidden_act: Literal["quick_gelu", "gelu"]


class TokenizerConfig(_Part):
    """The byte-pair merges, in order, each as two symbols with a space between; the vocabulary follows from them."""

    merges: Annotated[tuple[Merge, ...], Field(max_length=100_000)]


class SchedulerConfig(_Part):
    """The noise schedule that the UNet was trained with."""

    num_train_timesteps: Annotated[int, Field(ge=1, le=10_000)] = 1000
    beta_start: Annotated[float, Field(gt=0, lt=1)] = 0.00085
    beta_end: Annotated[float, Field(gt=0, lt=1)] = 0.012
    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    steps_offset: Annotated[int, Field(ge=0, le=10)] = 1
    timestep_spacing: Literal["leading", "linspace", "trailing"] = "leading"
    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"
    rescale_betas_zero_snr: bool = False


class Configuration(_Part):
    """All parts of an SDXL-shaped model; `tokenizer` None means CLIP's own vocabulary."""

    unet: UNetConfig
    vae: VaeConfig
    text_encoder: TextConfig
    text_encoder_2: TextConfig
    tokenizer: TokenizerConfig | None = None
    scheduler: SchedulerConfig = SchedulerConfig()


class _VaeOnly(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    vae: VaeConfig


def full_size() -> Configuration:
    """Return the configuration of stable-diffusion-xl-base-1.0, which fine-tuned SDXL checkpoints share."""
    return Configuration.model_validate_json(files("nodes.sdxl").joinpath("config/sdxl.json").read_bytes())


def configuration_of(header: Header) -> Configuration:
    """Return the configuration a checkpoint carries, else the full size; raises AssetRefused where it is wrong."""
    text = header.metadata.get(METADATA_KEY)
    if text is None:
        return full_size()
    try:
        return Configuration.model_validate_json(text)
    except ValidationError as error:
        raise _refusal(header, error) from error


def vae_configuration_of(header: Header) -> VaeConfig:
    """Return the configuration of the VAE in a file, else the full size; raises AssetRefused where it is wrong."""
    text = header.metadata.get(METADATA_KEY)
    if text is None:
        return full_size().vae
    try:
        return _VaeOnly.model_validate_json(text).vae
    except ValidationError as error:
        raise _refusal(header, error) from error


def _refusal(header: Header, error: ValidationError) -> AssetRefused:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the text itself"
    return AssetRefused(
        f"{header.name} carries a model configuration that cannot be used: {where}: {first['msg']}",
        hint=f"It stands in the file's metadata under {METADATA_KEY}; the file has to be written again.",
    )
