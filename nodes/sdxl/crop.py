"""Where a picture is cut to redraw a part of it, and how large that part is drawn."""

import math
from dataclasses import dataclass

MULTIPLE = 8
"""Pixels per latent: pictures for the VAE have edges that are multiples of it."""

SHAPES = ((1024, 1024), (1152, 896), (1216, 832), (1344, 768), (1536, 640))
"""Sizes that SDXL was trained at; their transposes too."""

NEAR = 1.04
"""How many times longer than a known shape a crop may be to be drawn in it."""

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

    def within(self, other: "Rect") -> "Rect | None":
        """Return what of the rectangle lies in another one, None where nothing does."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Rect(left, top, right, bottom) if left < right and top < bottom else None

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

    It is redrawn at about the area of the model's native (width, height), or of a square of `size` pixels where given,
    also where that is smaller than the part: models draw nonsense far above their native size.
    """
    shape = _aspect(_nearest_shape(part.width / part.height))
    wide = max(part.width, math.ceil(part.height * shape))
    high = max(part.height, math.ceil(part.width / shape))
    whole = part.resized((wide, high), picture)
    area = native[0] * native[1] if size is None else size * size
    return Crop(whole, drawn_size(whole.width / whole.height, area))


def whole_picture(picture: tuple[int, int], size: int | None = None) -> Crop:
    """Take all of a picture of (width, height), redrawn at its own size, or about `size` squared pixels."""
    width, height = picture
    scale = 1.0 if size is None else math.sqrt(size * size / (width * height))
    return Crop(Rect(0, 0, width, height), (_multiple(width * scale), _multiple(height * scale)))


def drawn_size(aspect: float, area: float) -> tuple[int, int]:
    """Return a (width, height) in multiples of 8 of about that aspect and area, in a shape that SDXL knows if near."""
    shape = _nearest_shape(aspect)
    if abs(math.log(aspect / _aspect(shape))) < math.log(NEAR):
        scale = math.sqrt(area) / SHAPES[0][0]
        return _multiple(shape[0] * scale), _multiple(shape[1] * scale)
    kept = min(max(aspect, 1 / LONGEST), LONGEST)
    return _multiple(math.sqrt(area * kept)), _multiple(math.sqrt(area / kept))


def _nearest_shape(aspect: float) -> tuple[int, int]:
    shapes = [*SHAPES, *((height, width) for width, height in SHAPES)]
    return min(shapes, key=lambda shape: abs(math.log(_aspect(shape) / aspect)))


def _aspect(size: tuple[int, int]) -> float:
    return size[0] / size[1]


def _multiple(length: float) -> int:
    return max(MULTIPLE, round(length / MULTIPLE) * MULTIPLE)
