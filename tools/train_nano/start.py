"""Start from a checkpoint that was trained before: read its parts, and fit them to this program."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from nodes.sdxl.checkpoint import inspect_checkpoint
from nodes.sdxl.configuration import Configuration, TokenizerConfig
from nodes.sdxl.layout import Place, text_2_places, text_places, unet_places, vae_places
from nodes.sdxl.model import empty_unet
from nodes.sdxl.text import empty_text_encoder, empty_text_encoder_2
from nodes.sdxl.tokenizer import make_tokenizers
from nodes.sdxl.vae import empty_vae
from nodes.sdxl.weights import fill, open_weights
from tools.train_nano.config import Config
from tools.train_nano.text import STATE_SHIFT, state_bias

EMBEDDINGS: Final = "embeddings.token_embedding.weight"
State = Mapping[str, Tensor]


class OtherShape(Exception):
    """A checkpoint's networks are not those of the configuration."""


@dataclass(frozen=True, slots=True)
class Start:
    """The parts of a checkpoint, in single precision."""

    vae: State
    factor: float
    first: State
    second: State
    unet: State


def check_start(path: Path, config: Config) -> str:
    """Return the sha256 of a checkpoint to start from.

    Raises AssetMissing or AssetRefused where it is no checkpoint, OtherShape where it is not of the configuration.
    """
    _check_shape(inspect_checkpoint(path).configuration, config)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_start(path: Path, config: Config, vocabulary: TokenizerConfig) -> Start:
    """Read a checkpoint's parts, its token embeddings moved to `vocabulary`; raises as `check_start` does."""
    found = inspect_checkpoint(path).configuration
    _check_shape(found, config)
    vae, unet = empty_vae(found.vae), empty_unet(found.unet)
    first, second = empty_text_encoder(found.text_encoder), empty_text_encoder_2(found.text_encoder_2)
    parts: tuple[tuple[nn.Module, dict[str, Place]], ...] = (
        (vae, vae_places(vae.state_dict().keys(), len(found.vae.block_out_channels))),
        (unet, unet_places(unet.state_dict().keys(), found.unet.layers_per_block)),
        (first, text_places(first.state_dict().keys())),
        (second, text_2_places(second.state_dict().keys())),
    )
    with open_weights(path) as file:
        for module, places in parts:
            fill(module, places, file, torch.device("cpu"), torch.float32)
    shift_states(first, second, unet)
    before, after = _entries(found.tokenizer), _entries(vocabulary)
    return Start(
        vae.state_dict(),
        found.vae.scaling_factor,
        _moved(first.state_dict(), before, after),
        _moved(second.state_dict(), before, after),
        unet.state_dict(),
    )


@torch.no_grad()
def shift_states(first: nn.Module, second: nn.Module, unet: nn.Module) -> None:
    """Move the states of text encoders whose mean is next to 0 by STATE_SHIFT; the UNet draws what it drew before.

    Keys that are all moved alike change no attention, and what the values add is taken from the layer behind them.
    """
    biases: list[Tensor] = [state_bias(first), state_bias(second)]
    if torch.cat(biases).mean().abs() > 0.5 * abs(STATE_SHIFT):
        return
    for bias in biases:
        bias.add_(STATE_SHIFT)
    for name in [name for name, _ in unet.named_modules() if name.endswith(".attn2")]:
        values, out = unet.get_submodule(f"{name}.to_v"), unet.get_submodule(f"{name}.to_out.0")
        assert isinstance(values, nn.Linear)
        assert isinstance(out, nn.Linear)
        out.bias.sub_(out.weight @ (values.weight.sum(1) * STATE_SHIFT))


def _check_shape(found: Configuration, config: Config) -> None:
    unet, vae, text = config.unet, config.vae, config.text
    there = found.unet
    pairs: dict[str, tuple[object, object]] = {
        "UNet widths": (there.block_out_channels, unet.widths),
        "UNet heads": (there.attention_head_dim, unet.heads),
        "UNet layers": (there.layers_per_block, unet.layers_per_block),
        "UNet depths": (there.transformer_layers_per_block, unet.depths),
        "UNet groups": (there.norm_num_groups, unet.groups),
        "VAE widths": (found.vae.block_out_channels, vae.widths),
        "VAE layers": (found.vae.layers_per_block, vae.layers_per_block),
        "VAE groups": (found.vae.norm_num_groups, vae.groups),
        "text widths": ((found.text_encoder.hidden_size, found.text_encoder_2.hidden_size), text.widths),
        "text layers": (found.text_encoder.num_hidden_layers, text.layers),
    }
    wrong = [f"{name} {given} instead of {wanted}" for name, (given, wanted) in pairs.items() if given != wanted]
    if wrong:
        raise OtherShape(f"the checkpoint to start from is not of the preset {config.name}: it has {', '.join(wrong)}")


def _entries(config: TokenizerConfig | None) -> dict[str, int]:
    entries: dict[str, int] = make_tokenizers(config)[0].get_vocab()
    return entries


def _moved(state: State, before: Mapping[str, int], after: Mapping[str, int]) -> State:
    """Give each entry of the new vocabulary the embedding it had; one that is new begins as the mean of all."""
    (name,) = (name for name in state if name.endswith(EMBEDDINGS))
    old = state[name]
    new = old.mean(0, keepdim=True).repeat(len(after), 1)
    for entry, number in after.items():
        if entry in before:
            new[number] = old[before[entry]]
    return {**state, name: new}
