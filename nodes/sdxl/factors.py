"""Shapes of the small tensors that adapters are made of, told before any of them is read.

Layers of convolutions are taken as matrices of [out, in * height * width].
"""

from collections.abc import Mapping
from math import prod

import torch

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
Tensors = Mapping[str, torch.Tensor]


def matrix(shape: Shape, kernel: Shape = ()) -> tuple[int, int] | None:
    """Return rows and columns of a tensor taken as a matrix, or None where it is empty or has another kernel."""
    if len(shape) < len("oi") or not all(shape) or (shape[2:] != kernel and prod(shape[2:]) != 1):
        return None
    return shape[0], prod(shape[1:])


def product(left: Shape, right: Shape, kernel: Shape = ()) -> tuple[int, int] | None:
    """Return rows and columns of left @ right, or None where they cannot be multiplied."""
    rows, columns = matrix(left), matrix(right, kernel)
    if rows is None or columns is None or rows[1] != columns[0]:
        return None
    return rows[0], columns[1]


def tucker(core: Shape, left: Shape, right: Shape, kernel: Shape) -> tuple[int, int] | None:
    """Return rows and columns of what `rebuild_tucker` makes, or None where the shapes contradict each other."""
    if matrix(left) != left or matrix(right) != right or core != (left[0], right[0], *kernel) or left[0] != right[0]:
        return None
    return left[1], right[1] * prod(kernel)


def rebuild_tucker(core: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the kernel [out, in, height, width] of a core [rank, rank, height, width] and factors [rank, out | in].

    As LyCORIS has it: Yeh et al. 2023, https://arxiv.org/abs/2309.14859, appendix on the Tucker decomposition.
    """
    inner = torch.einsum("ij..., jr -> ir...", core, right)
    return torch.einsum("ir..., ip -> pr...", inner, left)
