"""Where heads are in a picture: for drawing them, and for the boxes that the face detector learns from."""

from dataclasses import dataclass
from typing import Final

from tools.train_nano.render.scene import Framing, Scene

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the picture's edge; not clipped."""

RADIUS: Final[dict[Framing, float]] = {"close-up": 0.295, "upper body": 0.18, "full body": 0.138}
HEIGHT: Final[dict[Framing, float]] = {"close-up": 0.53, "upper body": 0.37, "full body": 0.3}
PAIR_RADIUS: Final[dict[Framing, float]] = {"close-up": 0.185, "upper body": 0.14, "full body": 0.12}
PAIR_COLUMNS: Final = (0.27, 0.73)
LEAST_SEEN: Final = 0.03


@dataclass(frozen=True, slots=True)
class Head:
    """A head's middle and radius, as shares of the picture's edge."""

    x: float
    y: float
    radius: float

    @property
    def face(self) -> Box:
        """The face's box: from the fringe to the chin."""
        r = self.radius
        return (self.x - r, self.y - 0.95 * r, self.x + r, self.y + 1.17 * r)


def place_heads(scene: Scene) -> tuple[Head, ...]:
    """Return where each character's head is."""
    pair = len(scene.characters) == 2
    columns = PAIR_COLUMNS if pair else (0.5,)
    radii = PAIR_RADIUS if pair else RADIUS
    steady = 0.4 if scene.framing == "full body" else 1.0
    heads = []
    for character, column in zip(scene.characters, columns, strict=False):
        x = column + scene.shift[0] * (0.5 if pair else 1.0) - scene.crop[0]
        y = HEIGHT[scene.framing] + scene.shift[1] * steady - scene.crop[1]
        zoom = 1 + (character.zoom - 1) * steady
        heads.append(Head(x, y, radii[scene.framing] * zoom))
    return tuple(heads)


def face_boxes(scene: Scene) -> tuple[Box, ...]:
    """Return the boxes of all faces, clipped to the picture; those of which next to nothing shows are left out."""
    clipped = [_clip(head.face) for head in place_heads(scene)]
    return tuple(box for box in clipped if box[2] - box[0] > LEAST_SEEN and box[3] - box[1] > LEAST_SEEN)


def _clip(box: Box) -> Box:
    left, top, right, bottom = (min(1.0, max(0.0, edge)) for edge in box)
    return left, top, right, bottom
