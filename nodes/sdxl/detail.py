"""Refining faces: cut each out, redraw it larger, and lay it back softly."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from engine.errors import NovaError
from nodes.merging import Merge
from nodes.sdxl.crop import Crop, Rect, crop_around, whole_picture
from nodes.sdxl.mask import Area, Pixels, cell_mask, cut, extent, masked_part, pasted, soft_mask
from nodes.sdxl.request import seeds_from
from nodes.values import Array, Box, Boxes, Image, Mask

REFERENCE_EDGE = 1024
"""The native edge of the model for which distances are meant in pixels."""

LEAST_BLUR = 2.0
"""Pixels. What a model draws differs from its surroundings by whole latents: a sharper edge shows as a seam."""

Redraw = Callable[[Pixels, Mask, int], Pixels]
"""Draws a crop [height, width, 3] anew where a mask of its size says so, with a seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How faces are cut out and laid back.

    Distances are pixels for a model whose native edge is 1024, and shrink with the edge of smaller models, whose
    pictures are smaller too; but no blur shrinks below LEAST_BLUR.
    """

    native: tuple[int, int]
    size: int | None = None
    padding: float = 32
    blur: float = 4
    dilate: float = 4
    shift: tuple[float, float] = (0, 0)
    only_masked: bool = True
    merge: Merge = "none"

    @property
    def unit(self) -> float:
        """Pixels per pixel of a 1024 model."""
        return math.sqrt(self.native[0] * self.native[1]) / REFERENCE_EDGE


@dataclass(frozen=True, slots=True)
class Spot:
    """What is redrawn at once: the pixels that change, the mask they are laid back with, and the crop around them."""

    area: Area
    mask: Pillow.Image
    crop: Crop


def spots(boxes: tuple[Box, ...], picture: tuple[int, int], framing: Framing) -> tuple[Spot, ...]:
    """Return what to redraw for the boxes in a picture of (width, height); boxes without a pixel in it are left out."""
    parts = tuple(part for box in boxes if (part := _part(box, picture, framing)) is not None)
    if framing.merge == "none":
        areas = [Area((part,)) for part in parts]
    else:
        areas = [Area(parts, inverted=framing.merge == "invert")] if parts else []
    found = (_spot(area, picture, framing) for area in areas)
    return tuple(spot for spot in found if spot is not None)


def refine(
    image: Image, per_picture: tuple[tuple[Spot, ...], ...], seeds: tuple[tuple[int, ...], ...], redraw: Redraw
) -> Image:
    """Redraw every spot of every picture in order, each on the picture as the spots before it left it.

    Seeds are one for each spot. Pixels where no spot's mask reaches keep their bits.
    """
    batch, height, width, channels = image.pixels.shape
    pictures = np.frombuffer(image.pixels.data, np.uint8).reshape(batch, height, width, channels)
    refined = [
        _refined(picture, places, own, redraw)
        for picture, places, own in zip(pictures, per_picture, seeds, strict=True)
    ]
    return Image(Array("U8", image.pixels.shape, b"".join(picture.tobytes() for picture in refined)), image.seeds)


def require_boxes_for(image: Image, boxes: Boxes) -> None:
    """Check that there is one list of boxes for each picture; raises NovaError."""
    if len(boxes.pictures) != image.pixels.shape[0]:
        raise NovaError(
            f"there are boxes for {len(boxes.pictures)} pictures but the batch has {image.pixels.shape[0]}",
            hint="Connect the boxes that were found in this very image.",
        )


def face_seeds(seed: int, counts: tuple[int, ...], *, same: bool) -> tuple[tuple[int, ...], ...]:
    """Return a seed for each face of each picture.

    Picture k of a batch starts from seed + k, as it would alone; face j of it has that + j (ADetailer, Impact Pack), or
    just that where `same`.
    """
    return tuple(
        (seeds_from(seed + picture, 1) * count) if same else seeds_from(seed + picture, count)
        for picture, count in enumerate(counts)
    )


def _refined(picture: Pixels, places: tuple[Spot, ...], seeds: tuple[int, ...], redraw: Redraw) -> Pixels:
    for spot, seed in zip(places, seeds, strict=True):
        crop = cut(picture, spot.crop.part, spot.crop.size)
        drawn = redraw(crop, cell_mask(spot.area, spot.crop.part, spot.crop.size), seed)
        picture = pasted(picture, drawn, spot.crop.part, spot.mask)
    return picture


def _part(box: Box, picture: tuple[int, int], framing: Framing) -> Rect | None:
    across, down = framing.shift
    return masked_part(box, picture, (across * framing.unit, down * framing.unit), framing.dilate * framing.unit)


def _spot(area: Area, picture: tuple[int, int], framing: Framing) -> Spot | None:
    unit = framing.unit
    mask = soft_mask(area, picture, max(framing.blur * unit, min(framing.blur, LEAST_BLUR)))
    reach = extent(mask)
    if reach is None:
        return None
    if not framing.only_masked:
        return Spot(area, mask, whole_picture(picture, framing.size))
    padded = reach.grown(round(framing.padding * unit), picture)
    return Spot(area, mask, crop_around(padded, picture, framing.native, framing.size))
