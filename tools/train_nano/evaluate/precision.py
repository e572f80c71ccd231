"""The average precision of a detector, at boxes that overlap by half."""

from collections.abc import Sequence

from tools.train_nano.render.placement import Box

Found = tuple[float, Box]
"""A detector's certainty and its box."""


def overlap(first: Box, second: Box) -> float:
    """Return the intersection of two boxes over their union, 0..1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_area(first) + _area(second) - both)


def average_precision(found: Sequence[Sequence[Found]], true: Sequence[Sequence[Box]]) -> float:
    """Return the area under precision over recall at an overlap of 0.5; both sequences go by picture.

    Every point of the curve counts, and precision is made to fall, as in Pascal VOC since 2010.
    """
    ranked = sorted(
        ((certainty, picture, box) for picture, boxes in enumerate(found) for certainty, box in boxes), reverse=True
    )
    left = [list(boxes) for boxes in true]
    hits = []
    for _, picture, box in ranked:
        best = max(left[picture], key=lambda wanted: overlap(wanted, box), default=None)
        hit = best is not None and overlap(best, box) >= 0.5
        if hit and best is not None:
            left[picture].remove(best)
        hits.append(hit)
    total = sum(len(boxes) for boxes in true)
    precisions, area, best_behind = [sum(hits[: rank + 1]) / (rank + 1) for rank in range(len(hits))], 0.0, 0.0
    for hit, precision in zip(reversed(hits), reversed(precisions), strict=True):
        best_behind = max(best_behind, precision)
        area += best_behind if hit else 0.0
    return area / total if total else float("nan")


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
