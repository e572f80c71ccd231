"""Where a picture is cut to redraw a part of it, and how large that part is drawn."""

import math
from dataclasses import dataclass

MULTIPLE = 8
"""Pixels per latent: pictures for the VAE have edges that are multiples of it."""

SHAPES = ((1024, 1024), (1152, 896), (1216, 832), (1344, 768), (1536, 640))
"""Sizes that SDXL was trained at; their transposes too."""

ENLARGED = 1.5
"""How far above its native edge a model may draw a crop that is larger than that, before the crop is scaled down."""

LONGEST = 4.0
"""Crops longer than this (long edge to short) are drawn squeezed."""


@dataclass(frozen=True, slots=True)
class Rect:
    """Whole pixels: columns `left` to `right` - 1, rows `top` to `bottom` - 1."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The four edges, as Pillow takes them."""
        return (self.left, self.top, self.right, self.bottom)

    def grown(self, by: int, picture: tuple[int, int]) -> "Rect":
        """Return the rectangle with `by` more pixels on each side where a picture of (width, height) has them."""
        width, height = picture
        return Rect(
            max(0, self.left - by), max(0, self.top - by), min(width, self.right + by), min(height, self.bottom + by)
        )

    def resized(self, size: tuple[int, int], picture: tuple[int, int]) -> "Rect":
        """Return a rectangle of that (width, height) about the same middle, shifted and cut into the picture."""
        width, height = min(size[0], picture[0]), min(size[1], picture[1])
        left = min(max(0, self.left - (width - self.width) // 2), picture[0] - width)
        top = min(max(0, self.top - (height - self.height) // 2), picture[1] - height)
        return Rect(left, top, left + width, top + height)


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a picture, and the (width, height) in pixels at which it is redrawn."""

    part: Rect
    size: tuple[int, int]


def crop_around(part: Rect, picture: tuple[int, int], native: tuple[int, int], size: int | None = None) -> Crop:
    """Widen a part of a picture to the nearest shape that SDXL knows, and say how large to redraw it.

    It is redrawn at about the area of the model's native (width, height), or of a square of `size` pixels where given.
    Without `size` a part that is larger than native is redrawn at its own size, up to one and a half times the native
    edge, since scaling it down would lose more than redrawing it wins.
    """
    shape = _nearest_shape(part.width / part.height)
    wide = max(part.width, math.ceil(part.height * shape))
    high = max(part.height, math.ceil(part.width / shape))
    whole = part.resized((wide, high), picture)
    if size is not None:
        return Crop(whole, drawn_size(whole.width / whole.height, size * size))
    least = native[0] * native[1]
    area = min(max(least, whole.width * whole.height), ENLARGED**2 * least)
    return Crop(whole, drawn_size(whole.width / whole.height, area))


def whole_picture(picture: tuple[int, int], native: tuple[int, int], size: int | None = None) -> Crop:
    """Take all of a picture of (width, height), redrawn at its own size, or about `size` squared pixels.

    Its own size is cut to one and a half times the model's native edge.
    """
    width, height = picture
    area = size * size if size is not None else min(width * height, ENLARGED**2 * native[0] * native[1])
    scale = math.sqrt(area / (width * height))
    return Crop(Rect(0, 0, width, height), (_multiple(width * scale), _multiple(height * scale)))


def drawn_size(aspect: float, area: float) -> tuple[int, int]:
    """Return a (width, height) in multiples of 8 of about that aspect and area, in a shape that SDXL knows if near."""
    shape = _nearest_shape(aspect)
    close = shape if abs(math.log(aspect / shape)) < math.log(1.04) else aspect
    kept = min(max(close, 1 / LONGEST), LONGEST)
    return _multiple(math.sqrt(area * kept)), _multiple(math.sqrt(area / kept))


def _nearest_shape(aspect: float) -> float:
    shapes = [*(width / height for width, height in SHAPES), *(height / width for width, height in SHAPES)]
    return min(shapes, key=lambda shape: abs(math.log(shape / aspect)))


def _multiple(length: float) -> int:
    return max(MULTIPLE, round(length / MULTIPLE) * MULTIPLE)
