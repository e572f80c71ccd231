"""Latents of zero mean and unit covariance, by folding the change into the VAE's own convolutions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from tools.train_nano.vae import covariance

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

SDXL_FACTOR: Final = 0.13025
"""SDXL's own scaling factor, which programs have written into them."""

CERTAIN: Final = -5.0
"""The log variance the encoder then gives: next to none."""


@dataclass(frozen=True, slots=True)
class Whitening:
    """Latents become `matrix @ (latents - mean)`."""

    mean: Tensor
    matrix: Tensor


def find_whitening(latents: Tensor) -> Whitening:
    """Return the whitening of latents [count, channels, height, width], by their principal components."""
    mean, spread = covariance(latents)
    eigenvalues, vectors = torch.linalg.eigh(spread)
    return Whitening(mean, (vectors / eigenvalues.clamp(min=1e-8).sqrt()).T)


def apply_whitening(latents: Tensor, whitening: Whitening) -> Tensor:
    """Return whitened latents."""
    centred = latents - whitening.mean[None, :, None, None]
    return torch.einsum("dc,nchw->ndhw", whitening.matrix, centred)


@torch.no_grad()
def fold_whitening(vae: "AutoencoderKL", whitening: Whitening) -> None:
    """Change a VAE so that it gives whitened latents over SDXL's scaling factor, and draws the same pictures."""
    channels = len(whitening.mean)
    device = vae.quant_conv.weight.device
    matrix, mean = whitening.matrix.to(device), whitening.mean.to(device)
    before, after = vae.quant_conv, vae.post_quant_conv
    kernel, bias = before.weight[:channels, :, 0, 0].clone(), before.bias[:channels].clone()
    before.weight.zero_()
    before.weight[:channels, :, 0, 0] = matrix @ kernel / SDXL_FACTOR
    before.bias[:channels] = matrix @ (bias - mean) / SDXL_FACTOR
    before.bias[channels:] = CERTAIN
    kernel, bias = after.weight[:, :, 0, 0].clone(), after.bias.clone()
    after.weight[:, :, 0, 0] = kernel @ torch.linalg.inv(matrix) * SDXL_FACTOR
    after.bias.copy_(bias + kernel @ mean)
    vae.register_to_config(scaling_factor=SDXL_FACTOR)
