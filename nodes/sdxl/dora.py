"""DoRA: an adapter turns the direction of a weight, and the file holds its magnitude.

Liu et al. 2024, https://arxiv.org/abs/2402.09353: W' = m * (W + dW) / ||W + dW||. LyCORIS has one magnitude for each
input of a layer, [1, in, ...], or, with its `wd_on_output`, for each output, [out, 1, ...]; the norm is over all else.
A strength goes from W to W', as in LyCORIS' own `apply_dora_scale`: W + strength * (W' - W).
"""

import torch

from nodes.sdxl.factors import Shape


def fits(magnitude: Shape, weight: Shape) -> bool:
    """Tell whether there is one magnitude for each input of a weight, or for each output."""
    ones = (1,) * len(weight[2:])
    return magnitude in ((weight[0], 1, *ones), (1, *weight[1:2], *ones))


def with_magnitude(direction: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Return a weight of that direction and magnitude; a direction of zeros stays zeros."""
    rest = [dim for dim, size in enumerate(magnitude.shape) if size == 1]
    norm: torch.Tensor = torch.linalg.vector_norm(direction, dim=rest, keepdim=True)
    return direction * (magnitude / (norm + torch.finfo(direction.dtype).eps))
