"""LoRA: the difference is up @ down (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""

import torch

from nodes.sdxl.factors import Shape, Shapes, Tensors, matrix, product


def fits(shapes: Shapes, weight: Shape) -> bool:
    """Tell whether up @ down has as many rows and columns as a weight of that shape."""
    made = product(shapes["lora_up"], shapes["lora_down"], weight[2:])
    return made is not None and made == matrix(weight, weight[2:])


def rank(shapes: Shapes) -> int:
    """Return by what alpha is divided."""
    return shapes["lora_down"][0]


def build(tensors: Tensors) -> torch.Tensor:
    """Return the difference as a matrix."""
    return tensors["lora_up"].flatten(1) @ tensors["lora_down"].flatten(1)
