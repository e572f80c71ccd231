"""The body below the head; lengths in radii of the head."""

from typing import Final

from tools.train_nano.render.canvas import SIDES, Canvas
from tools.train_nano.render.paint import LINE, NAVY, RED, Paints
from tools.train_nano.render.palette import WHITE, Colour, mix, scaled
from tools.train_nano.render.scene import Character, Framing

SHORTENED: Final = 0.66
"""A whole body is drawn shorter below the neck: a large head keeps its face readable in a small picture."""

NECK: Final = "M -.26 .8 L -.28 1.6 L .28 1.6 L .26 .8"
ARM: Final = "M .85 1.6 C 1.35 1.75 1.45 2.6 1.5 3.5 L 1.05 3.6 L .8 2.3"
LEG: Final = "M .12 3.4 L .16 6.3 L .5 6.3 L .62 3.4"
SHOE: Final = "M .1 5.6 L .12 6.6 L .72 6.6 Q .72 6.3 .52 6.2 L .52 5.6"
SKIRT: Final = "M -.8 3.2 L -1.15 4.45 L 1.15 4.45 L .8 3.2"
DRESS: Final = "M -.78 2.9 L -1.35 4.75 Q 0 5.05 1.35 4.75 L .78 2.9"
BELT: Final = "M -.8 2.75 L -.8 3 L .8 3 L .8 2.75"
COLLAR: Final = "M 0 2.2 L .3 1.4 L .85 1.55 L .75 2.05"
BOW: Final = "M 0 2.05 L -.35 2.75 L 0 2.55 L .35 2.75"
SHIRT_COLLAR: Final = "M 0 1.75 L .33 1.38 L .5 1.8"


def draw_body(canvas: Canvas, character: Character, paints: Paints, framing: Framing) -> None:
    """Draw neck, arms, clothes, and in a full body also legs."""
    whole = framing == "full body"
    canvas.shape(NECK, paints.skin_dark, paints.skin_edge, 0.8 * LINE)
    height = SHORTENED if whole else 1.0
    with canvas.moved(0, 1.4 * (1 - height), scale=(1, height)):
        if whole:
            _draw_legs(canvas, paints)
        _draw_arms(canvas, paints, hands=whole)
        low = 3.4 if whole else 4.6
        torso = f"M -.3 1.42 C -.9 1.5 -1.05 1.6 -1 2 L -.8 {low} L .8 {low} L 1 2 C 1.05 1.6 .9 1.5 .3 1.42"
        canvas.shape(f"{torso} Q 0 1.75 -.3 1.42", paints.garment, paints.garment_edge, LINE)
        _draw_skirt(canvas, character, paints, whole=whole)
        _draw_trimmings(canvas, character, paints)


def _draw_legs(canvas: Canvas, paints: Paints) -> None:
    shoe: Colour = (84, 58, 56)
    for side in SIDES:
        with canvas.side(side):
            canvas.shape(LEG, paints.skin, paints.skin_edge, LINE)
            canvas.shape(SHOE, shoe, scaled(shoe, 0.5), LINE)


def _draw_arms(canvas: Canvas, paints: Paints, *, hands: bool) -> None:
    for side in SIDES:
        with canvas.side(side):
            canvas.shape(ARM, paints.garment, paints.garment_edge, LINE)
            if hands:
                canvas.oval(1.28, 3.62, (0.24, 0.26), paints.skin)
                canvas.ring(1.28, 3.62, (0.24, 0.26), paints.skin_edge, 0.8 * LINE)


def _draw_skirt(canvas: Canvas, character: Character, paints: Paints, *, whole: bool) -> None:
    if character.garment == "dress":
        canvas.shape(DRESS, paints.skirt, paints.garment_edge, LINE)
        white = character.garment_colour == "white"
        canvas.fill(BELT, (190, 190, 210) if white else mix(paints.skirt, WHITE, 0.55))
    elif whole:
        canvas.shape(SKIRT, paints.skirt, scaled(paints.skirt, 0.5), LINE)


def _draw_trimmings(canvas: Canvas, character: Character, paints: Paints) -> None:
    if character.garment == "dress":
        return
    for side in SIDES:
        with canvas.side(side):
            if character.garment == "school uniform":
                canvas.fill(COLLAR, NAVY)
            else:
                canvas.shape(SHIRT_COLLAR, mix(paints.garment, WHITE, 0.35), paints.garment_edge, 0.7 * LINE)
    if character.garment == "school uniform":
        canvas.fill(BOW, RED)
