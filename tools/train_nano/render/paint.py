"""The colours and line widths that one character is drawn with."""

from dataclasses import dataclass

from tools.train_nano.render.palette import CLOTHES, HAIR, WHITE, Colour, mix, scaled
from tools.train_nano.render.scene import Character

LINE = 0.05
LASHES: Colour = (40, 26, 34)
FRAMES: Colour = (60, 30, 40)
NAVY: Colour = (52, 60, 116)
RED: Colour = (214, 50, 60)


@dataclass(frozen=True, slots=True)
class Paints:
    """Colours with their shades; outlines are dark shades of what they enclose."""

    hair: Colour
    hair_dark: Colour
    hair_light: Colour
    hair_edge: Colour
    brows: Colour
    skin: Colour
    skin_dark: Colour
    skin_edge: Colour
    garment: Colour
    garment_edge: Colour
    skirt: Colour


def paints_of(character: Character) -> Paints:
    """Return the colours of a character."""
    hair = scaled(HAIR[character.hair], character.shade)
    edge, light = scaled(hair, 0.42), mix(hair, WHITE, 0.38)
    if character.hair == "black":
        edge, light = (16, 14, 22), (104, 100, 124)
    if character.hair == "white":
        edge = (120, 120, 140)
    skin: Colour = (176, 116, 82) if character.dark_skin else (255, 226, 206)
    garment, garment_edge, skirt = _garment(character)
    return Paints(
        hair=hair,
        hair_dark=scaled(hair, 0.72),
        hair_light=light,
        hair_edge=edge,
        brows=(150, 150, 165) if character.hair == "white" else edge,
        skin=skin,
        skin_dark=scaled(skin, 0.86),
        skin_edge=scaled(skin, 0.55),
        garment=garment,
        garment_edge=garment_edge,
        skirt=skirt,
    )


def _garment(character: Character) -> tuple[Colour, Colour, Colour]:
    """Return the colours of the upper part, its outline and the skirt."""
    if character.garment == "school uniform":
        return (244, 244, 248), (120, 124, 150), NAVY
    colour = CLOTHES[character.garment_colour]
    edge: Colour = (20, 20, 26) if character.garment_colour == "black" else scaled(colour, 0.55)
    return colour, edge, colour if character.garment == "dress" else (74, 74, 92)
