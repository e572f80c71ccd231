"""Latents to another size."""

from typing import Literal

import torch

from nodes.sdxl.arrays import from_tensor, to_tensor
from nodes.values import Latents

Method = Literal["nearest-exact", "bilinear", "bicubic"]


def resize_latents(latents: Latents, size: tuple[int, int], method: Method, *, crop: bool) -> Latents:
    """Return latents for pictures of another (width, height) in pixels, which are multiples of 8.

    The same numbers as ComfyUI's LatentUpscale; `crop` is its "center", and evenly cuts what has another shape.
    """
    samples = to_tensor(latents.samples, dtype=torch.float32)
    width, height = (edge // 8 for edge in size)
    if crop:
        samples = _cropped(samples, width / height)
    resized = torch.nn.functional.interpolate(samples, size=(height, width), mode=method)
    own = to_tensor(latents.samples).dtype
    return Latents(from_tensor(resized.to(own)), latents.seeds)


def _cropped(samples: torch.Tensor, shape: float) -> torch.Tensor:
    """Cut both sides, or top and bottom, evenly, until width / height is near a shape."""
    height, width = samples.shape[-2:]
    own = width / height
    left = top = 0
    if own > shape:
        left = min(round((width - width * (shape / own)) / 2), (width - 1) // 2)
    elif own < shape:
        top = min(round((height - height * (own / shape)) / 2), (height - 1) // 2)
    return samples[..., top : height - top, left : width - left]
