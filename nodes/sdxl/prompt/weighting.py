"""How the weight of a fragment acts on its encoded tokens."""

from collections.abc import Callable
from typing import Literal

import torch

from nodes.sdxl.prompt.chunks import Chunk
from nodes.sdxl.prompt.clip import Clip

Weighting = Literal["compel", "comfy", "a1111"]

Weigh = Callable[[Clip, Chunk, torch.Tensor], torch.Tensor]
"""Given an encoder, a chunk and its plain states [1, 77, width], return the weighted states."""


def weigh_states(clip: Clip, chunk: Chunk, states: torch.Tensor, weighting: Weighting) -> torch.Tensor:
    """Apply the weights of a chunk to its plain states [1, 77, width]; where all are 1, nothing is computed."""
    if all(piece.weight == 1.0 for piece in chunk):
        return states
    return _find_weigh(weighting)(clip, chunk, states)


def weigh_from_empty(clip: Clip, chunk: Chunk, states: torch.Tensor) -> torch.Tensor:
    """Move each token away from, or towards, the empty prompt: `(z - z_empty) * w + z_empty`.

    As in ComfyUI (comfy/sd1_clip.py).
    """
    weights = clip.weights(chunk)
    plain, empty = states.float(), clip.empty.float()
    weighted = (plain - empty) * weights + empty
    return torch.where(weights == 1.0, plain, weighted).to(states.dtype)


def weigh_keeping_mean(clip: Clip, chunk: Chunk, states: torch.Tensor) -> torch.Tensor:
    """Scale each token, then all of them so that the mean over the chunk is as it was.

    As AUTOMATIC1111's web UI does under the name "Original". Where no scale restores the mean, none is applied.
    """
    plain = states.float()
    weighted = plain * clip.weights(chunk)
    scale = plain.mean() / weighted.mean()
    if not torch.isfinite(scale):
        return weighted.to(states.dtype)
    return (weighted * scale).to(states.dtype)


def _find_weigh(weighting: Weighting) -> Weigh:
    if weighting == "comfy":
        return weigh_from_empty
    if weighting == "a1111":
        return weigh_keeping_mean
    # Importing Compel imports diffusers' pipelines: only where a prompt needs it.
    from nodes.sdxl.prompt.compel_weighting import weigh_with_compel

    return weigh_with_compel
