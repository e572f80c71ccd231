"""Cat ears, hat and ribbon; lengths in radii of the head."""

from typing import Final

from tools.train_nano.render.canvas import SIDES, Canvas
from tools.train_nano.render.paint import LINE, Paints
from tools.train_nano.render.scene import Character

EAR: Final = "M .25 -1.22 Q .75 -1.9 1.02 -2.02 Q 1.2 -1.3 1.05 -.6"
INNER_EAR: Final = "M .5 -1.25 Q .78 -1.66 .94 -1.76 Q 1.02 -1.25 .95 -.8"
HAT: Final = "M -.98 -.72 C -.95 -2 .95 -2 .98 -.72"
BAND: Final = "M -.99 -.78 L -1 -1.05 Q 0 -1.25 1 -1.05 L .99 -.78 Q 0 -.98 -.99 -.78"
BRIM: Final = "M -1.6 -.6 Q 0 -1.1 1.6 -.6 Q 0 -.62 -1.6 -.6"
STRAW_EDGE: Final = (120.0, 84.0, 40.0)


def draw_cat_ears(canvas: Canvas, character: Character, paints: Paints) -> None:
    """Draw cat ears, which the fringe then covers in part."""
    if "cat ears" not in character.accessories:
        return
    for side in SIDES:
        with canvas.side(side):
            canvas.shape(EAR, paints.hair, paints.hair_edge, LINE)
            canvas.fill(INNER_EAR, (250, 170, 180))


def draw_headwear(canvas: Canvas, character: Character) -> None:
    """Draw what lies on the hair: a straw hat, a ribbon."""
    if "hat" in character.accessories:
        canvas.shape(HAT, (236, 200, 130), STRAW_EDGE, LINE)
        canvas.fill(BAND, (204, 52, 56))
        canvas.shape(BRIM, (246, 212, 144), STRAW_EDGE, LINE)
    if "hair ribbon" in character.accessories:
        with canvas.moved(-0.7 * character.side, -1.2):
            for side in SIDES:
                with canvas.side(side):
                    canvas.shape("M 0 0 L .55 -.36 L .55 .34", (222, 40, 62), (120, 16, 30), 0.8 * LINE)
            canvas.oval(0, 0, (0.14, 0.14), (190, 26, 48))
