"""What a picture shows, drawn by lot; the same random generator gives the same scene."""

import random
from dataclasses import dataclass
from typing import Final, Literal

from tools.train_nano.render.palette import BACKGROUND, CLOTHES, EYES, HAIR

Framing = Literal["close-up", "upper body", "full body"]
Mouth = Literal["smile", "open mouth", "expressionless"]
Sky = Literal["day", "sunset", "night"]
Defect = Literal["blurry", "jpeg"]

STYLES: Final = ("short hair", "long hair", "twintails", "ponytail", "bob cut")
MOUTHS: Final[tuple[Mouth, ...]] = ("smile", "open mouth", "expressionless")
FRAMINGS: Final[tuple[Framing, ...]] = ("close-up", "upper body", "full body")
ACCESSORIES: Final = ("glasses", "hair ribbon", "hat", "cat ears")
GARMENTS: Final = ("shirt", "dress", "school uniform")
DEFECTS: Final[tuple[Defect, ...]] = ("blurry", "jpeg")
SKIES: Final[tuple[Sky, ...]] = ("day", "sunset", "night")

FRAMING_SHARES: Final = (0.37, 0.26, 0.37)
SCENERY_SHARE: Final = 0.03
PAIR_SHARE: Final = 0.06
DEFECT_SHARE: Final = 0.06
CROP_SHARE: Final = 0.08
TOGETHER: Final = (frozenset({"hat", "cat ears"}), frozenset({"hat", "hair ribbon"}))
"""Accessories that would lie on one another."""


@dataclass(frozen=True, slots=True)
class Character:
    """One girl: what has a tag, and after it the small differences that have none."""

    hair: str
    style: str
    eyes: str
    eyes_closed: bool
    mouth: Mouth
    accessories: tuple[str, ...]
    dark_skin: bool
    garment: str
    garment_colour: str
    roll: float
    """Degrees by which the head leans."""
    zoom: float
    side: int
    """On which side the ponytail and the ribbon are: -1 or 1."""
    fringe: int
    gaze: float
    shade: float
    """Factor on the hair's colour."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole picture; lengths are shares of its edge."""

    characters: tuple[Character, ...]
    framing: Framing
    background: str
    gradient: bool
    shift: tuple[float, float]
    crop: tuple[float, float]
    """(left, top): how much of a larger picture was cut away; SDXL is told of it."""
    defect: Defect | None
    defect_strength: float
    """What is left of the resolution (blurry), or of the JPEG quality (jpeg): 0..1."""
    sky: Sky | None = None
    landscape: float = 0.0
    """Decides the shape of the hills where `sky` is set; then there are no characters."""


def draw_scene(lot: random.Random) -> Scene:
    """Draw a scene by lot, as the training data are."""
    if lot.random() < SCENERY_SHARE:
        return draw_scenery(lot)
    framing = lot.choices(FRAMINGS, FRAMING_SHARES)[0]
    count = 2 if lot.random() < PAIR_SHARE else 1
    defect = lot.choice(DEFECTS) if lot.random() < DEFECT_SHARE else None
    crop = (lot.uniform(0, 0.31), lot.uniform(0, 0.19)) if count == 1 and lot.random() < CROP_SHARE else (0.0, 0.0)
    return Scene(
        characters=tuple(draw_character(lot) for _ in range(count)),
        framing=framing,
        background=lot.choice(tuple(BACKGROUND)),
        gradient=lot.random() < 0.2,
        shift=(lot.uniform(-0.05, 0.05), lot.uniform(-0.03, 0.03)),
        crop=crop,
        defect=defect,
        defect_strength=lot.uniform(0.25, 0.5),
    )


def draw_scenery(lot: random.Random) -> Scene:
    """Draw a landscape without anybody in it."""
    return Scene(
        characters=(),
        framing="upper body",
        background="white",
        gradient=False,
        shift=(0.0, 0.0),
        crop=(0.0, 0.0),
        defect=None,
        defect_strength=1.0,
        sky=lot.choice(SKIES),
        landscape=lot.random(),
    )


def draw_character(lot: random.Random) -> Character:
    """Draw a girl by lot."""
    return Character(
        hair=lot.choice(tuple(HAIR)),
        style=lot.choice(STYLES),
        eyes=lot.choice(tuple(EYES)),
        eyes_closed=lot.random() < 0.18,
        mouth=lot.choices(MOUTHS, (0.4, 0.33, 0.27))[0],
        accessories=_draw_accessories(lot),
        dark_skin=lot.random() < 0.15,
        garment=lot.choices(GARMENTS, (0.5, 0.25, 0.25))[0],
        garment_colour=lot.choice(tuple(CLOTHES)),
        roll=lot.gauss(0, 3.5),
        zoom=lot.uniform(0.88, 1.14),
        side=lot.choice((-1, 1)),
        fringe=lot.randrange(3),
        gaze=lot.uniform(-0.04, 0.04),
        shade=lot.uniform(0.94, 1.06),
    )


def _draw_accessories(lot: random.Random) -> tuple[str, ...]:
    if lot.random() >= 0.55:
        return ()
    first = lot.choice(ACCESSORIES)
    second = lot.choice(ACCESSORIES)
    fits = second != first and {first, second} not in TOGETHER
    return (first, second) if fits and lot.random() < 0.2 else (first,)
