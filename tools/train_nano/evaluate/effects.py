"""What weights, guidance, quality tags, told sizes and the face detailer change; pairs drawn with the same seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tools.train_nano.evaluate.judge import Judged, Share, mean_accuracy
from tools.train_nano.evaluate.probes import Probes
from tools.train_nano.evaluate.prompts import girl
from tools.train_nano.evaluate.studio import Drawn, Pixels, Studio
from tools.train_nano.render.captions import full_caption
from tools.train_nano.render.palette import HAIR
from tools.train_nano.render.placement import Box
from tools.train_nano.render.scene import Scene

LIGHT: Final = 0.7
HEAVY: Final = 1.4
PAG_SCALE: Final = 3.0
BAD_TAGS: Final = "worst quality, blurry, lowres, "
TOLD_SMALL: Final = 0.25
TOLD_LARGE: Final = 4


def face_box(drawn: Drawn) -> Box | None:
    """Return the surest face's box in pixels."""
    if not drawn.faces:
        return None
    face = drawn.faces[0]
    return face.left, face.top, face.right, face.bottom


def judged(scene: Scene, drawn: Drawn, probes: Probes) -> Judged:
    """Return a drawn picture as the probes see it."""
    return Judged(scene, probes.read(drawn.pixels, face_box(drawn)), len(drawn.faces))


def sharpness(pixels: Pixels, box: Box | None = None) -> float:
    """Return the mean square of the Laplacian of the brightness, within a box in pixels where one is given."""
    grey = pixels.astype(np.float64).mean(2)
    if box is not None:
        left, top, right, bottom = (max(0, round(side)) for side in box)
        grey = grey[top:bottom, left:right]
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.square(around - 4 * inner).mean())


@dataclass(frozen=True, slots=True)
class Contest:
    """Two hair colours in one prompt: which of them is drawn, and how clearly."""

    scene: Scene
    rival: str
    seed: int

    @property
    def own(self) -> str:
        """The hair colour of the scene."""
        return girl(self.scene).hair

    def lead(self, studio: Studio, probes: Probes, tags: str) -> float:
        """Return the log odds of the own colour against the rival's, where `tags` stand in place of the own one."""
        caption = full_caption(self.scene).replace(f"{self.own} hair", tags)
        read = probes.read(studio.draw(caption, self.seed).pixels, None)["hair"]
        return read[self.own] - read[self.rival]


def contests(scenes: Sequence[Scene]) -> list[Contest]:
    """Return a contest for each scene; the rivals are all other colours in turn."""
    names = tuple(HAIR)
    return [
        Contest(
            scene, names[(names.index(girl(scene).hair) + 1 + number % (len(names) - 1)) % len(names)], 7000 + number
        )
        for number, scene in enumerate(scenes)
    ]


def weight_effect(studio: Studio, probes: Probes, scenes: Sequence[Scene]) -> Share:
    """Return in how many cases a weight moves its tag the right way, where two hair colours compete.

    Each scene gives two cases: a colour at 1.4 and at 0.7, against both plain. Of the two orders in which the colours
    can stand, that one is taken whose plain picture is less decided: where it is all of a colour it has no room for
    more.
    """
    hits = 0
    for contest in contests(scenes):
        orders = (f"{{}}, {contest.rival} hair", f"{contest.rival} hair, {{}}")
        plain = {order: contest.lead(studio, probes, order.format(f"{contest.own} hair")) for order in orders}
        order = min(orders, key=lambda each: abs(plain[each]))
        light, heavy = (
            contest.lead(studio, probes, order.format(f"({contest.own} hair:{weight})")) for weight in (LIGHT, HEAVY)
        )
        hits += (light < plain[order]) + (plain[order] < heavy)
    return Share(hits, 2 * len(scenes))


def pag_effect(studio: Studio, probes: Probes, plain: Sequence[Drawn], scenes: Sequence[Scene]) -> dict[str, float]:
    """Return how pictures with perturbed-attention guidance differ from the plain ones of the same seeds."""
    guided = [studio.draw(full_caption(scene), seed, pag_scale=PAG_SCALE) for seed, scene in enumerate(scenes)]
    changed = [np.abs(a.pixels.astype(float) - b.pixels).mean() for a, b in zip(plain, guided, strict=True)]
    before = [judged(scene, drawn, probes) for scene, drawn in zip(scenes, plain, strict=True)]
    after = [judged(scene, drawn, probes) for scene, drawn in zip(scenes, guided, strict=True)]
    differing = sum(float(change) > 0 for change in changed)
    told = {"pictures": len(scenes), "differing": differing, "mean difference": float(np.mean(changed))}
    return {**told, "accuracy gained": mean_accuracy(after) - mean_accuracy(before)}


def quality_effect(studio: Studio, scenes: Sequence[Scene]) -> Share:
    """Return in how many cases bad quality tags make a picture less sharp."""
    hits = 0
    for number, scene in enumerate(scenes):
        plain = studio.draw(full_caption(scene), 8000 + number, negative="")
        bad = studio.draw(BAD_TAGS + full_caption(scene), 8000 + number, negative="")
        hits += sharpness(bad.pixels) < sharpness(plain.pixels)
    return Share(hits, len(scenes))


def size_effect(studio: Studio, scenes: Sequence[Scene], native: int) -> Share:
    """Return in how many cases a small original size, told to the model, makes a picture less sharp."""
    hits = 0
    for number, scene in enumerate(scenes):
        small, large = (
            studio.draw(full_caption(scene), 9000 + number, original=int(native * factor))
            for factor in (TOLD_SMALL, TOLD_LARGE)
        )
        hits += sharpness(small.pixels) < sharpness(large.pixels)
    return Share(hits, len(scenes))


def detailer_effect(studio: Studio, probes: Probes, scenes: Sequence[Scene]) -> tuple[Share, list[Drawn]]:
    """Return in how many full bodies with a face it becomes sharper while hair and background keep their colours."""
    hits, drawings = 0, []
    for number, scene in enumerate(scenes):
        drawn = studio.draw(full_caption(scene), 6000 + number, refine=True)
        box = face_box(drawn)
        if box is None:
            continue
        after = replace(drawn, pixels=drawn.refined)
        before_right, after_right = (judged(scene, picture, probes) for picture in (drawn, after))
        kept = all(after_right.right(name) or not before_right.right(name) for name in ("hair", "background"))
        hits += kept and sharpness(drawn.refined, box) > sharpness(drawn.pixels, box)
        drawings.append(drawn)
    return Share(hits, len(drawings)), drawings
