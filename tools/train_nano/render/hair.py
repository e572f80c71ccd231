"""Hair, behind the head and before it; lengths in radii of the head."""

from typing import Final

from tools.train_nano.render.canvas import SIDES, Canvas
from tools.train_nano.render.paint import LINE, RED, Paints
from tools.train_nano.render.palette import mix
from tools.train_nano.render.scene import Character

BEHIND: Final[dict[str, str]] = {
    "long hair": "M -1 -.6 C -1.5 .2 -1.35 1.6 -1.55 3 Q -.8 3.35 0 3.1 Q .8 3.35 1.55 3 C 1.35 1.6 1.5 .2 1 -.6",
    "bob cut": "M -.9 -.9 C -1.55 -.3 -1.5 .7 -1.32 1.12 Q -.7 1.32 0 1.15 Q .7 1.32 1.32 1.12"
    " C 1.5 .7 1.55 -.3 .9 -.9",
    "short hair": "M -1 -.8 C -1.4 -.2 -1.25 .35 -1.2 .62 L -.85 .5 L -.6 .75 L 0 .6 L .6 .75 L .85 .5 L 1.2 .62"
    " C 1.25 .35 1.4 -.2 1 -.8",
}
TIED: Final = "M -1 -.8 C -1.25 -.2 -1.15 .3 -.9 .7 L .9 .7 C 1.15 .3 1.25 -.2 1 -.8"
TWINTAIL: Final = "M .95 -.75 C 1.7 -1.15 2.15 -.1 1.85 2.3 Q 1.55 1.9 1.35 2.1 C 1.45 1 1.5 .1 .95 -.4"
PONYTAIL: Final = "M .55 -1.1 C 1.5 -1.9 2.3 -.6 1.75 1.9 Q 1.5 1.55 1.25 1.7 C 1.55 .6 1.5 -.3 .75 -.7"
CROWN: Final = "M -1.1 .25 C -1.35 -.95 -.75 -1.42 0 -1.42 C .75 -1.42 1.35 -.95 1.1 .25"
FRINGES: Final = (
    " Q .95 -.1 .85 -.35 Q .75 -.1 .52 0 Q .5 -.25 .35 -.4 Q .2 -.08 -.05 .02 Q 0 -.25 -.12 -.42"
    " Q -.3 -.1 -.55 -.02 Q -.52 -.2 -.68 -.4 Q -.9 -.1 -1.1 .25",
    " Q .92 -.1 .9 -.2 Q .5 -.12 0 -.16 Q -.5 -.12 -.9 -.2 Q -.92 -.1 -1.1 .25",
    " Q .98 -.2 .8 -.45 Q .3 -.55 -.1 -.95 Q -.35 -.35 -.8 -.1 Q -.95 -.05 -1.1 .25",
)
SHINE: Final = "M -.75 -.78 Q -.2 -1.05 .35 -.98"
LOCK_ENDS: Final = {"long hair": 1.9, "bob cut": 1.25}


def draw_back_hair(canvas: Canvas, character: Character, paints: Paints) -> None:
    """Draw what lies behind the head."""
    low = 2.6 if character.style == "long hair" else 1.4
    fade = (paints.hair_dark, -1.4, low)

    def shape(path: str) -> None:
        canvas.shape(path, paints.hair, paints.hair_edge, LINE, fade=fade)

    shape(BEHIND.get(character.style, TIED))
    if character.style == "twintails":
        for side in SIDES:
            with canvas.side(side):
                shape(TWINTAIL)
                canvas.oval(1.02, -0.6, (0.15, 0.17), RED)
    if character.style == "ponytail":
        with canvas.side(character.side):
            shape(PONYTAIL)
            canvas.oval(0.8, -1.06, (0.16, 0.16), RED)


def draw_front_hair(canvas: Canvas, character: Character, paints: Paints) -> None:
    """Draw the fringe, and the locks beside the face."""
    fade = (mix(paints.hair, paints.hair_dark, 0.5), -1.4, 0.3)
    canvas.shape(CROWN + FRINGES[character.fringe], paints.hair, paints.hair_edge, LINE, fade=fade)
    canvas.line(SHINE, paints.hair_light, 0.13)
    end = LOCK_ENDS.get(character.style)
    if end is None:
        return
    lock = f"M 1.12 -.3 C 1.35 .3 1.25 .8 1.1 {end} C .95 1 .85 .5 .9 -.1"
    for side in SIDES:
        with canvas.side(side):
            canvas.shape(lock, paints.hair, paints.hair_edge, 0.8 * LINE, fade=(paints.hair_dark, -0.3, end))
