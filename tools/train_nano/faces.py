"""Faces count for more: their boxes in a batch, and the weights of a loss."""

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor

from tools.train_nano.render.placement import Box

MOST_FACES: Final = 2


def padded(boxes: Iterable[Box]) -> list[Box]:
    """Return a picture's boxes and as many without area as make MOST_FACES, so that pictures stack."""
    found = list(boxes)
    return [*found, *[(0.0, 0.0, 0.0, 0.0)] * (MOST_FACES - len(found))]


def face_weights(boxes: Tensor, edge: int, weight: float) -> Tensor:
    """Return loss weights [batch, 1, edge, edge] of mean 1: `weight` more inside boxes [batch, count, 4] of 0..1.

    A cell that a box covers in part gets a part; a box without area, nothing.
    """
    starts = torch.arange(edge, device=boxes.device, dtype=boxes.dtype)
    low, high = boxes[..., :2, None] * edge, boxes[..., 2:, None] * edge
    covered = (torch.minimum(starts + 1, high) - torch.maximum(starts, low)).clamp(0, 1)
    inside = (covered[:, :, 1, :, None] * covered[:, :, 0, None, :]).amax(1)
    weights = 1 + weight * inside
    return (weights / weights.mean((1, 2), keepdim=True))[:, None]
