"""The face; lengths in radii of the head."""

from typing import Final

from tools.train_nano.render.canvas import SIDES, Canvas
from tools.train_nano.render.paint import FRAMES, LASHES, LINE, Paints
from tools.train_nano.render.palette import EYES, WHITE, mix, scaled
from tools.train_nano.render.scene import Character

HEAD: Final = "M -.96 -.2 C -.96 .5 -.6 .88 0 1.14 C .6 .88 .96 .5 .96 -.2 C .96 -1.5 -.96 -1.5 -.96 -.2"
OPEN_MOUTH: Final = "M -.25 .68 Q 0 .73 .25 .68 C .24 1.05 -.24 1.05 -.25 .68"
EARS_SHOW: Final = ("ponytail", "twintails", "short hair")


def draw_face(canvas: Canvas, character: Character, paints: Paints) -> None:
    """Draw ears, head, cheeks, eyes, brows, nose, mouth and glasses."""
    for side in SIDES:
        if character.style in EARS_SHOW:
            canvas.oval(side * 0.97, 0.2, (0.14, 0.24), paints.skin)
            canvas.ring(side * 0.97, 0.2, (0.14, 0.24), paints.skin_edge, 0.8 * LINE)
    canvas.shape(HEAD, paints.skin, paints.skin_edge, LINE)
    for side in SIDES:
        canvas.oval(side * 0.58, 0.58, (0.19, 0.09), (250, 120, 120), alpha=110)
        with canvas.moved(side * 0.45, 0.2):
            _draw_eye(canvas, character, side)
            canvas.line("M -.2 -.5 Q 0 -.6 .2 -.5", paints.brows, 0.05)
    canvas.fill("M -.03 .5 L .03 .5 L 0 .57", paints.skin_dark)
    _draw_mouth(canvas, character)
    if "glasses" in character.accessories:
        for side in SIDES:
            canvas.ring(side * 0.46, 0.22, (0.37, 0.37), FRAMES, 0.075)
        canvas.line("M -.1 .18 Q 0 .1 .1 .18", FRAMES, 0.07)


def _draw_eye(canvas: Canvas, character: Character, side: int) -> None:
    if character.eyes_closed:
        canvas.line("M -.26 .02 Q 0 .3 .26 .02", LASHES, 0.085)
        return
    iris, x = EYES[character.eyes], character.gaze
    canvas.oval(0, 0, (0.26, 0.31), WHITE)
    canvas.oval(x, 0.01, (0.2, 0.29), scaled(iris, 0.6), fade=mix(iris, WHITE, 0.25))
    canvas.oval(x, 0.01, (0.085, 0.13), scaled(iris, 0.25))
    canvas.oval(x - 0.07, -0.12, (0.075, 0.085), WHITE)
    canvas.oval(x + 0.08, 0.15, (0.04, 0.045), WHITE)
    with canvas.side(side):
        canvas.line("M -.24 -.14 Q -.02 -.44 .27 -.12 L .33 -.14", LASHES, 0.095)


def _draw_mouth(canvas: Canvas, character: Character) -> None:
    if character.mouth == "smile":
        canvas.line("M -.24 .72 Q 0 .95 .24 .72", (150, 50, 56), 0.07)
    elif character.mouth == "open mouth":
        canvas.shape(OPEN_MOUTH, (160, 40, 52), (110, 36, 40), 0.045)
        canvas.oval(0, 0.88, (0.11, 0.06), (240, 120, 130))
    else:
        canvas.line("M -.13 .79 L .13 .79", (140, 60, 60), 0.06)
