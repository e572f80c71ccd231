"""Pictures to another size."""

from math import sqrt
from typing import Literal

from nodes.pictures.batches import Picture

Fit = Literal["crop", "fit", "stretch"]
"""`crop` fills the size and cuts what stands over, evenly; `fit` stays inside it; `stretch` ignores the shape."""

Method = Literal["lanczos", "bicubic", "bilinear", "nearest"]

GRID = 8
"""A VAE needs sides that are multiples of this many pixels; sides that are asked for must be, others are rounded."""

MAX_SIDE = 8192

NEAR = 1.5
"""How many times more or fewer pixels than its native size a model draws well."""


def sides_near(own: tuple[int, int], native: tuple[int, int]) -> tuple[int, int] | tuple[None, None]:
    """Return the sides that give a picture the area of a model's native size, or none where it is near that already."""
    ratio = native[0] * native[1] / (own[0] * own[1])
    if 1 / NEAR <= ratio <= NEAR:
        return (None, None)
    return (_on_grid(own[0] * sqrt(ratio)), _on_grid(own[1] * sqrt(ratio)))


def target_size(
    own: tuple[int, int], width: int | None, height: int | None, scale: float = 1.0, fit: Fit = "crop"
) -> tuple[int, int]:
    """Return the (width, height) to make of a picture of size `own`.

    A side left empty follows the other; with both empty the picture's own size counts. `scale` comes on top. With
    nothing asked for, the size stays as it is, on the grid or not.
    """
    if width is None and height is None:
        if scale == 1.0:
            return own
        across, down = float(own[0]), float(own[1])
    elif height is None:
        across = float(width or own[0])
        down = own[1] * across / own[0]
    elif width is None:
        down = float(height)
        across = own[0] * down / own[1]
    else:
        across, down = float(width), float(height)
        if fit == "fit":
            ratio = min(across / own[0], down / own[1])
            across, down = own[0] * ratio, own[1] * ratio
    return (_on_grid(across * scale), _on_grid(down * scale))


def scaled_down_to_grid(own: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return a (width, height) `scale` times larger, rounded down to multiples of 8, as A1111's upscalers have it."""
    width, height = (max(GRID, int(side * scale) // GRID * GRID) for side in own)
    return (width, height)


def resize_picture(picture: Picture, size: tuple[int, int], fit: Fit, method: Method = "lanczos") -> Picture:
    """Return a picture at another size; at its own size, the picture itself."""
    if size == (picture.width, picture.height):
        return picture
    rgb = resize_plane(picture.rgb, "RGB", (picture.width, picture.height), size, fit, method)
    return Picture(size[0], size[1], rgb)


def resize_plane(
    data: bytes,
    mode: Literal["RGB", "L"],
    own: tuple[int, int],
    size: tuple[int, int],
    fit: Fit,
    method: Method = "lanczos",
) -> bytes:
    """Resize raw bytes of height x width x (3 or 1)."""
    if own == size:
        return data
    from PIL import Image, ImageOps

    resampling = Image.Resampling[method.upper()]
    image = Image.frombytes(mode, own, data)
    if fit == "crop":
        return ImageOps.fit(image, size, resampling).tobytes()
    return image.resize(size, resampling).tobytes()


def _on_grid(side: float) -> int:
    return min(MAX_SIDE, max(GRID, round(side / GRID) * GRID))
