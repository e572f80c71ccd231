"""The words of the grammar that name looks, and the colours they stand for (sRGB)."""

from typing import Final

Colour = tuple[float, float, float]

HAIR: Final[dict[str, Colour]] = {
    "black": (52, 48, 60),
    "brown": (128, 80, 52),
    "blonde": (246, 214, 108),
    "red": (206, 48, 48),
    "blue": (64, 112, 222),
    "green": (72, 168, 88),
    "pink": (246, 148, 186),
    "purple": (138, 84, 188),
    "white": (236, 236, 244),
}
EYES: Final[dict[str, Colour]] = {
    "blue": (48, 120, 232),
    "green": (44, 170, 82),
    "red": (216, 40, 44),
    "brown": (132, 80, 40),
    "purple": (146, 70, 200),
    "yellow": (238, 190, 30),
}
BACKGROUND: Final[dict[str, Colour]] = {
    "red": (214, 62, 58),
    "blue": (92, 148, 232),
    "green": (122, 196, 112),
    "yellow": (248, 222, 104),
    "purple": (164, 116, 208),
    "pink": (250, 186, 206),
    "white": (248, 248, 248),
    "black": (40, 40, 46),
}
CLOTHES: Final[dict[str, Colour]] = {
    "red": (200, 44, 52),
    "blue": (56, 92, 190),
    "green": (62, 142, 82),
    "yellow": (240, 200, 72),
    "white": (244, 244, 248),
    "black": (50, 50, 58),
    "pink": (244, 150, 180),
    "purple": (128, 80, 170),
}
WHITE: Final[Colour] = (255, 255, 255)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return a colour between two: `share` 0 is the first, 1 the second."""
    red, green, blue = (a * (1 - share) + b * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def scaled(colour: Colour, factor: float) -> Colour:
    """Return a darker (below 1) or lighter (above 1) colour, kept within 0..255."""
    red, green, blue = (min(255.0, max(0.0, channel * factor)) for channel in colour)
    return red, green, blue
