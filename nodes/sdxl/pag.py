"""Perturbed-attention guidance (Ahn et al. 2024, arXiv:2403.17377).

Some rows of the UNet's batch get the identity in place of their self-attention maps in chosen layers: each token
attends to itself alone. The difference to the unperturbed prediction points towards better structure.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention

from engine.errors import NovaError

_BLOCKS = {"mid": "mid_block", "down": "down_blocks", "up": "up_blocks"}


class Processor(Protocol):
    """What computes an attention layer."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the layer's output [rows, tokens, channels]."""
        ...


class Perturbation:
    """How many of the last rows are perturbed; 0 leaves the UNet as it is."""

    def __init__(self) -> None:
        self.rows = 0


class IdentityAttention:
    """Perturbs the last rows of a self-attention layer, and leaves the others to its own processor."""

    def __init__(self, inner: Processor, perturbation: Perturbation) -> None:
        self._inner = inner
        self._perturbation = perturbation

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the layer's output [rows, tokens, channels]."""
        kept = hidden_states.shape[0] - self._perturbation.rows
        plain = self._inner(attn, hidden_states[:kept], encoder_hidden_states, attention_mask, temb)
        if kept == hidden_states.shape[0]:
            return plain
        states = hidden_states[kept:]
        identity = attn.to_out[1](attn.to_out[0](attn.to_v(states)))
        if attn.residual_connection:
            identity = identity + states
        return torch.cat([plain, identity / attn.rescale_output_factor])


def self_attentions(unet: UNet2DConditionModel, layers: Iterable[str]) -> dict[str, Attention]:
    """Return the self-attention layers inside the named parts of a UNet, by their full path.

    A part is `mid`, `down.1`, `up.0.attentions.1` or deeper; `up.1` is not `up.10`.
    Raises NovaError for a part without self-attention, with a list of those that have some.
    """
    present = {
        path: module
        for path, module in unet.named_modules()
        if isinstance(module, Attention) and path.endswith(".attn1")
    }
    chosen: dict[str, Attention] = {}
    for layer in layers:
        inside = {path: module for path, module in present.items() if f"{path}.".startswith(f"{_path(layer)}.")}
        if not inside:
            raise NovaError(
                f"the UNet has no self-attention in {layer!r}, so PAG cannot perturb it",
                hint=f"Use some of: {', '.join(_parts(present))}.",
            )
        chosen |= inside
    return chosen


@contextmanager
def perturbed(unet: UNet2DConditionModel, layers: Iterable[str]) -> Iterator[Perturbation]:
    """Make the named parts of a UNet perturbable, and put everything back whatever happens.

    Raises NovaError for an unknown part before anything is touched. Hold the model's lock: the UNet itself is changed.
    """
    modules = self_attentions(unet, layers)
    originals = {path: module.processor for path, module in modules.items()}
    perturbation = Perturbation()
    try:
        for path, module in modules.items():
            module.set_processor(IdentityAttention(originals[path], perturbation))
        yield perturbation
    finally:
        for path, module in modules.items():
            module.set_processor(originals[path])


def _path(layer: str) -> str:
    block, dot, rest = layer.partition(".")
    return f"{_BLOCKS.get(block, block)}{dot}{rest}"


def _parts(paths: Iterable[str]) -> list[str]:
    """Name the blocks that hold these layers, and the transformers within them."""
    found: dict[str, None] = {}
    for path in paths:
        block, *inner = path.split(".")
        name = next(short for short, long in _BLOCKS.items() if long == block)
        parts = [name, *inner]
        depth = parts.index("attentions")
        found[".".join(parts[:depth])] = None
        found[".".join(parts[: depth + 2])] = None
    return sorted(found)
