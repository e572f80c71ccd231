"""Which of the boxes found are worth refining, and in which order."""

import math
from collections.abc import Callable, Iterable
from typing import Literal

from nodes.values import Box

Keep = Literal["area", "confidence"]
Order = Literal["none", "left-right", "center-edge", "area"]


def area(box: Box) -> float:
    """Return the area of a box in square pixels; none where it is inside out."""
    return max(0.0, box.right - box.left) * max(0.0, box.bottom - box.top)


def within_ratio(boxes: Iterable[Box], picture: tuple[int, int], low: float, high: float) -> tuple[Box, ...]:
    """Keep boxes that cover between `low` and `high` of a picture of that (width, height)."""
    whole = picture[0] * picture[1]
    return tuple(box for box in boxes if low <= area(box) / whole <= high)


def foremost(boxes: Iterable[Box], limit: int, keep: Keep) -> tuple[Box, ...]:
    """Keep the `limit` largest or surest boxes, that first; 0 keeps all, in the order they came."""
    if limit == 0:
        return tuple(boxes)
    measure: Callable[[Box], float] = area if keep == "area" else _confidence
    return tuple(sorted(boxes, key=measure, reverse=True)[:limit])


def ordered(boxes: Iterable[Box], picture: tuple[int, int], order: Order) -> tuple[Box, ...]:
    """Sort boxes as they are to be refined in a picture of that (width, height); equals stay in the order they came."""
    middle = (picture[0] / 2, picture[1] / 2)
    measures: dict[Order, Callable[[Box], float]] = {
        "left-right": lambda box: box.left,
        "center-edge": lambda box: math.dist(middle, ((box.left + box.right) / 2, (box.top + box.bottom) / 2)),
        "area": lambda box: -area(box),
    }
    return tuple(boxes) if order == "none" else tuple(sorted(boxes, key=measures[order]))


def _confidence(box: Box) -> float:
    return box.confidence
