"""Plain scenes for tests, one attribute at a time."""

import dataclasses
import random

from tools.train_nano.render.scene import Character, Framing, Scene, draw_character

BASE = dataclasses.replace(
    draw_character(random.Random(1)),
    hair="blue",
    style="short hair",
    eyes="red",
    eyes_closed=False,
    mouth="smile",
    accessories=(),
    dark_skin=False,
    garment="shirt",
    garment_colour="green",
    roll=0.0,
    zoom=1.0,
    gaze=0.0,
    shade=1.0,
    fringe=1,
)


def plain(*characters: Character, framing: Framing = "close-up", background: str = "white") -> Scene:
    """Return a scene without chance."""
    return Scene(
        characters=characters or (BASE,),
        framing=framing,
        background=background,
        gradient=False,
        shift=(0.0, 0.0),
        crop=(0.0, 0.0),
        defect=None,
        defect_strength=0.4,
    )
