"""Pictures over pictures, through masks."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from PIL import Image as Pillow
from PIL import ImageChops, ImageFilter

from engine.errors import NovaError
from nodes.pictures.batches import Picture, join_pictures, split_image
from nodes.sdxl.request import whole_cells
from nodes.values import Array, Image, Mask

Item = TypeVar("Item")


def composed(below: Image, above: Image, mask: Mask, blur: float, check: Callable[[], None]) -> Image:
    """Return pictures over others where masks, blurred (Gaussian, in pixels), say so; `check` is called for each.

    Raises NovaError where sizes or numbers do not fit.
    """
    grounds, tops, masks = split_image(below), split_image(above), _masks(mask)
    count = max(len(grounds), len(tops))
    made = []
    for ground, top, weight in zip(
        _spread("below", grounds, count), _spread("above", tops, count), _spread("mask", masks, count), strict=True
    ):
        check()
        made.append(_composed(ground, top, weight, blur))
    return join_pictures(made, above.seeds if len(above.seeds) == count else below.seeds)


def brightness(image: Image, *, invert: bool = False) -> Mask:
    """Return the brightness of pictures (ITU-R 601-2) as masks."""
    count, height, width, _ = image.pixels.shape
    greys = [_pillow(picture).convert("L") for picture in split_image(image)]
    data = b"".join((ImageChops.invert(grey) if invert else grey).tobytes() for grey in greys)
    return Mask(Array("U8", (count, height, width), data))


def _composed(ground: Picture, top: Picture, weight: Pillow.Image, blur: float) -> Picture:
    size = ground.width, ground.height
    if weight.size != size:
        raise _unfit("mask", weight.size, size)
    left, upper = _place((top.width, top.height), size)
    picture = _pillow(ground)
    soft = weight.filter(ImageFilter.GaussianBlur(blur)) if blur > 0 else weight
    picture.paste(_pillow(top), (left, upper), soft.crop((left, upper, left + top.width, upper + top.height)))
    return Picture(*size, picture.tobytes())


def _place(own: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return where a picture lies in one of `size`: all over it, or where EncodeImage cut it out."""
    if own == size:
        return 0, 0
    across, down = (whole_cells(edge) for edge in size)
    if own != (across.stop - across.start, down.stop - down.start):
        raise _unfit("picture above", own, size)
    return across.start, down.start


def _unfit(what: str, own: tuple[int, int], size: tuple[int, int]) -> NovaError:
    return NovaError(
        f"the {what} is {own[0]}x{own[1]}, the picture below {size[0]}x{size[1]}",
        hint="Bring them to one size: `width` and `height` of LoadImage resize a picture and its mask.",
    )


def _spread(port: str, items: Sequence[Item], count: int) -> Sequence[Item]:
    if len(items) not in (1, count):
        raise NovaError(f"{port} has {len(items)} pictures where there are {count}", hint="Give one, or one for each.")
    return list(items) * count if len(items) == 1 else items


def _masks(mask: Mask) -> list[Pillow.Image]:
    count, height, width = mask.weight.shape
    plane = height * width
    data = mask.weight.data
    return [Pillow.frombytes("L", (width, height), data[place * plane : (place + 1) * plane]) for place in range(count)]


def _pillow(picture: Picture) -> Pillow.Image:
    return Pillow.frombytes("RGB", (picture.width, picture.height), picture.rgb)
