"""A scene as pixels."""

import io
import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.train_nano.render.body import draw_body
from tools.train_nano.render.canvas import Canvas
from tools.train_nano.render.face import draw_face
from tools.train_nano.render.hair import draw_back_hair, draw_front_hair
from tools.train_nano.render.headwear import draw_cat_ears, draw_headwear
from tools.train_nano.render.paint import paints_of
from tools.train_nano.render.palette import BACKGROUND, WHITE, Colour, mix, scaled
from tools.train_nano.render.placement import Head, place_heads
from tools.train_nano.render.scene import Character, Framing, Scene

SKIES: dict[str, tuple[Colour, Colour, Colour]] = {
    "day": ((84, 150, 236), (206, 230, 250), (255, 248, 200)),
    "sunset": ((120, 80, 160), (250, 170, 90), (255, 220, 120)),
    "night": ((14, 18, 50), (50, 60, 120), (246, 246, 220)),
}
"""Top and bottom of the sky; sun or moon."""

WORST_JPEG, BEST_JPEG = 3, 24


def render(scene: Scene, edge: int) -> NDArray[np.uint8]:
    """Return a scene as RGB pixels [edge, edge, 3]; the same scene and edge give the same bytes on one machine."""
    canvas = Canvas(edge)
    if scene.sky is not None:
        _draw_landscape(canvas, scene.sky, random.Random(scene.landscape))
        return canvas.pixels()
    canvas.cover(*_backdrop(scene))
    for character, head in zip(scene.characters, place_heads(scene), strict=True):
        _draw_character(canvas, character, head, scene.framing)
    return _spoilt(canvas.pixels(), scene)


def _backdrop(scene: Scene) -> tuple[Colour, Colour]:
    colour = BACKGROUND[scene.background]
    if not scene.gradient:
        return mix(colour, WHITE, 0.1), scaled(colour, 0.96)
    return colour, (190, 200, 220) if scene.background == "white" else mix(colour, WHITE, 0.75)


def _draw_character(canvas: Canvas, character: Character, head: Head, framing: Framing) -> None:
    paints = paints_of(character)
    with canvas.moved(head.x, head.y, scale=(head.radius, head.radius)):
        with canvas.moved(turn=character.roll):
            draw_back_hair(canvas, character, paints)
        draw_body(canvas, character, paints, framing)
        with canvas.moved(turn=character.roll):
            draw_face(canvas, character, paints)
            draw_cat_ears(canvas, character, paints)
            draw_front_hair(canvas, character, paints)
            draw_headwear(canvas, character)


def _draw_landscape(canvas: Canvas, sky: str, lot: random.Random) -> None:
    top, bottom, light = SKIES[sky]
    canvas.cover(top, bottom)
    canvas.oval(lot.uniform(0.15, 0.85), lot.uniform(0.12, 0.35), (0.09, 0.09), light)
    ground, left, right = lot.uniform(0.5, 0.65), lot.uniform(0.15, 0.35), lot.uniform(0.62, 0.85)
    peaks = f"L {left} {ground - 0.2} L .5 {ground + 0.03} L {right} {ground - 0.25}"
    canvas.fill(f"M 0 1 L 0 {ground + 0.05} {peaks} L 1 {ground + 0.05} L 1 1", mix((96, 120, 150), top, 0.4))
    meadow = f"M 0 1 L 0 {ground + 0.15} C .3 {ground + 0.02} .6 {ground + 0.25} 1 {ground + 0.1} L 1 1"
    canvas.fill(meadow, mix((90, 170, 90), top, 0.6 if sky == "night" else 0.25))


def _spoilt(pixels: NDArray[np.uint8], scene: Scene) -> NDArray[np.uint8]:
    """Return a picture with its defect, which its quality tags tell of."""
    if scene.defect is None:
        return pixels
    picture = Image.fromarray(pixels)
    if scene.defect == "blurry":
        small = max(8, int(picture.width * scene.defect_strength))
        shrunk = picture.resize((small, small), Image.Resampling.BOX)
        return np.asarray(shrunk.resize(picture.size, Image.Resampling.BILINEAR))
    buffer = io.BytesIO()
    quality = WORST_JPEG + (BEST_JPEG - WORST_JPEG) * scene.defect_strength
    picture.save(buffer, "JPEG", quality=int(quality))
    return np.asarray(Image.open(buffer).convert("RGB"))
