"""Masks: which pixels are redrawn, and how softly."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageChops, ImageDraw, ImageFilter

from nodes.sdxl.crop import MULTIPLE, Rect
from nodes.values import Array, Box, Mask

Pixels = NDArray[np.uint8]
"""An RGB picture [height, width, 3]."""


@dataclass(frozen=True, slots=True)
class Area:
    """The pixels to redraw: those of some rectangles, or where `inverted` all but those."""

    parts: tuple[Rect, ...]
    inverted: bool = False


def masked_part(box: Box, picture: tuple[int, int], shift: tuple[float, float], dilate: float) -> Rect | None:
    """Return the pixels of a picture of (width, height) to redraw for a box, or None where none are left.

    The box is moved by `shift` (right, down), then each side moves out by half of `dilate`, or in where it is negative.
    """
    right, down = shift
    grow = dilate / 2
    part = Rect(
        max(0, math.floor(box.left + right - grow)),
        max(0, math.floor(box.top + down - grow)),
        min(picture[0], math.ceil(box.right + right + grow)),
        min(picture[1], math.ceil(box.bottom + down + grow)),
    )
    return part if part.width > 0 and part.height > 0 else None


def soft_mask(area: Area, picture: tuple[int, int], blur: float) -> Pillow.Image:
    """Return a mask as large as the picture: 255 inside the area, blurred (Gaussian, in pixels) around its edge."""
    mask = Pillow.new("L", picture, 0)
    for part in area.parts:
        ImageDraw.Draw(mask).rectangle((part.left, part.top, part.right - 1, part.bottom - 1), fill=255)
    if area.inverted:
        mask = ImageChops.invert(mask)
    return mask.filter(ImageFilter.GaussianBlur(blur)) if blur > 0 else mask


def extent(mask: Pillow.Image) -> Rect | None:
    """Return the smallest rectangle that holds every pixel of a mask above 0, or None for an empty mask."""
    edges = mask.getbbox()
    return None if edges is None else Rect(*edges)


def cell_mask(area: Area, crop: Rect, size: tuple[int, int]) -> Mask:
    """Return what to redraw of a crop that is drawn at `size` (width, height): one mask in pixels of that size.

    The mask is made of whole latents (8 by 8 pixels), all that a pixel of the area falls into, so no pixel of the area
    in the crop is left as it was, however small it is.
    """
    columns, rows = size[0] // MULTIPLE, size[1] // MULTIPLE
    across, down = columns / crop.width, rows / crop.height
    cells = np.full((rows, columns), 255 if area.inverted else 0, np.uint8)
    # A part may lie outside: one that is too small for its blur leaves nothing in the mask that the crop is around.
    for part in (seen for each in area.parts if (seen := each.within(crop)) is not None):
        sides = (part.left - crop.left, part.right - crop.left), (part.top - crop.top, part.bottom - crop.top)
        if area.inverted:
            cells[_whole(*sides[1], down), _whole(*sides[0], across)] = 0
        else:
            cells[_touched(*sides[1], down, rows), _touched(*sides[0], across, columns)] = 255
    weight = cells.repeat(MULTIPLE, axis=0).repeat(MULTIPLE, axis=1)
    return Mask(Array("U8", (1, rows * MULTIPLE, columns * MULTIPLE), weight.tobytes()))


def pasted(picture: Pixels, redrawn: Pixels, place: Rect, mask: Pillow.Image) -> Pixels:
    """Lay a redrawn part over a picture through a mask as large as the picture; where it is 0 no pixel changes."""
    below = Pillow.fromarray(picture)
    above = Pillow.fromarray(redrawn).resize((place.width, place.height), Pillow.Resampling.LANCZOS)
    below.paste(above, (place.left, place.top), mask.crop(place.box))
    return np.asarray(below)


def cut(picture: Pixels, place: Rect, size: tuple[int, int]) -> Pixels:
    """Return a part of a picture, scaled to `size` (width, height)."""
    part = Pillow.fromarray(picture).crop(place.box)
    return np.asarray(part.resize(size, Pillow.Resampling.LANCZOS))


def _touched(first: int, last: int, scale: float, count: int) -> slice:
    """Return the latents that pixels from `first` to `last` - 1 fall into."""
    start = min(math.floor(first * scale), count - 1)
    return slice(start, max(start + 1, min(math.ceil(last * scale), count)))


def _whole(first: int, last: int, scale: float) -> slice:
    """Return the latents into which no pixel falls but those from `first` to `last` - 1."""
    return slice(max(0, math.ceil(first * scale)), max(0, math.floor(last * scale)))
