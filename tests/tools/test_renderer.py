"""What the renderer draws is what the tags say: by the colours of pixels."""

import dataclasses
import random

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("skia", reason="skia-python draws the training pictures; it comes with the extra `nano`")

from tests.tools.scenes import BASE, plain
from tools.train_nano.render.palette import BACKGROUND, EYES, HAIR, Colour
from tools.train_nano.render.picture import render
from tools.train_nano.render.placement import place_heads
from tools.train_nano.render.scene import FRAMINGS, Framing, Scene, draw_scene

EDGE = 128


def patch(pixels: NDArray[np.uint8], scene: Scene, x: float, y: float) -> Colour:
    """Return the colour at a place given in radii from the middle of the first head."""
    head = place_heads(scene)[0]
    column, row = int((head.x + x * head.radius) * EDGE), int((head.y + y * head.radius) * EDGE)
    red, green, blue = pixels[row - 1 : row + 2, column - 1 : column + 2].reshape(-1, 3).mean(0)
    return float(red), float(green), float(blue)


def nearest(colour: Colour, names: dict[str, Colour]) -> str:
    return min(names, key=lambda name: sum((a - b) ** 2 for a, b in zip(colour, names[name], strict=True)))


def test_the_same_scene_has_the_same_bytes() -> None:
    first, second = random.Random(8), random.Random(8)
    for _ in range(6):
        assert render(draw_scene(first), 64).tobytes() == render(draw_scene(second), 64).tobytes()


@pytest.mark.parametrize("edge", [64, 128, 192])
def test_pictures_have_the_size_asked_for_and_show_the_same(edge: int) -> None:
    pixels = render(plain(), edge)
    assert pixels.shape == (edge, edge, 3)
    shrunk = pixels.reshape(32, edge // 32, 32, edge // 32, 3).mean((1, 3))
    wanted = render(plain(), 128).reshape(32, 4, 32, 4, 3).mean((1, 3))
    assert np.abs(shrunk - wanted).mean() < 4


@pytest.mark.parametrize("hair", HAIR)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_hair_has_its_colour(hair: str, framing: Framing) -> None:
    scene = plain(dataclasses.replace(BASE, hair=hair), framing=framing)
    assert nearest(patch(render(scene, EDGE), scene, 0.6, -0.45), HAIR) == hair


@pytest.mark.parametrize("background", BACKGROUND)
def test_backgrounds_have_their_colour(background: str) -> None:
    pixels = render(plain(background=background), EDGE)
    red, green, blue = pixels[2:8, 2:8].reshape(-1, 3).mean(0)
    assert nearest((float(red), float(green), float(blue)), BACKGROUND) == background


@pytest.mark.parametrize("eyes", EYES)
def test_open_eyes_show_their_colour_and_closed_ones_do_not(eyes: str) -> None:
    opened = plain(dataclasses.replace(BASE, eyes=eyes))
    closed = plain(dataclasses.replace(BASE, eyes=eyes, eyes_closed=True))
    other = plain(dataclasses.replace(BASE, eyes="yellow" if eyes != "yellow" else "blue", eyes_closed=True))
    iris = patch(render(opened, 256)[::2, ::2], opened, 0.45, 0.42)
    lighter: dict[str, Colour] = {name: tuple(0.8 * c + 0.2 * 255 for c in EYES[name]) for name in EYES}  # type: ignore[misc]
    assert nearest(iris, lighter) == eyes
    assert np.array_equal(render(closed, EDGE), render(other, EDGE))


@pytest.mark.parametrize(
    "change",
    [
        {"mouth": "open mouth"},
        {"accessories": ("glasses",)},
        {"accessories": ("hat",)},
        {"accessories": ("cat ears",)},
        {"accessories": ("hair ribbon",)},
        {"style": "twintails"},
        {"dark_skin": True},
        {"garment_colour": "red"},
    ],
)
def test_every_attribute_can_be_seen(change: dict[str, object]) -> None:
    changed = dataclasses.replace(BASE, **change)  # type: ignore[arg-type]
    difference = np.abs(render(plain(changed), EDGE).astype(int) - render(plain(), EDGE)).max(2)
    assert (difference > 40).sum() > 30


def test_two_girls_have_two_heads_side_by_side() -> None:
    scene = plain(dataclasses.replace(BASE, hair="red"), dataclasses.replace(BASE, hair="green"), framing="upper body")
    pixels = render(scene, EDGE)
    left, right = place_heads(scene)
    assert left.x + left.radius < right.x - right.radius
    assert nearest(patch(pixels, scene, 0.0, -0.6), HAIR) == "red"
    assert nearest(patch(pixels[:, int((right.x - left.x) * EDGE) :], scene, 0.0, -0.6), HAIR) == "green"


@pytest.mark.parametrize("defect", ["blurry", "jpeg"])
def test_a_defect_spoils_the_picture_but_not_what_it_shows(defect: str) -> None:
    whole = render(plain(), EDGE).astype(float)
    spoilt = render(dataclasses.replace(plain(), defect=defect), EDGE).astype(float)  # type: ignore[arg-type]
    assert 1 < np.abs(spoilt - whole).mean() < 25


def test_a_crop_moves_what_is_seen() -> None:
    cropped = dataclasses.replace(plain(), crop=(0.25, 0.125))
    assert np.abs(render(cropped, EDGE)[16:112, 8:88].astype(int) - render(plain(), EDGE)[32:, 40:120]).mean() < 3
