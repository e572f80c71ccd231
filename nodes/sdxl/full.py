"""Full differences: the file holds what is added to a weight or bias, as LyCORIS' `full` and `norm` write it."""

import torch

from nodes.sdxl.factors import Shape, Shapes, Tensors


def fits(shapes: Shapes, weight: Shape) -> bool:
    """Tell whether the difference has the shape of a weight, but for dimensions of one at its end."""
    return all(weight) and _without_ones(shapes["diff"]) == _without_ones(weight)


def rank(_: Shapes) -> None:
    """Return None: there is no alpha."""


def build(tensors: Tensors) -> torch.Tensor:
    """Return the difference."""
    return tensors["diff"]


def _without_ones(shape: Shape) -> Shape:
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape
