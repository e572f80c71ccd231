"""Booru tags: all that are true of a scene, and captions as people write them."""

import random
import string
from typing import Final

from tools.train_nano.render.palette import BACKGROUND, CLOTHES, EYES, HAIR
from tools.train_nano.render.scene import ACCESSORIES, FRAMINGS, GARMENTS, MOUTHS, STYLES, Character, Scene

GOOD: Final = (
    "masterpiece", "best quality", "absurdres", "highres", "newest", "very aesthetic", "amazing quality",
)  # fmt: skip
BAD: Final = ("worst quality", "low quality", "lowres", "bad anatomy", "bad quality")
BLURRED: Final = ("blurry", "lowres")
COMPRESSED: Final = ("jpeg artifacts",)
FILLING: Final = (
    "solo", "looking at viewer", "simple background", "anime", "anime style", "illustration", "cute", "girl",
)  # fmt: skip
SKY_TAGS: Final[dict[str, tuple[str, ...]]] = {
    "day": ("blue sky", "day"),
    "sunset": ("sunset", "orange sky"),
    "night": ("night", "night sky"),
}
SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    "bob cut": ("bob cut", "bob", "medium hair"),
    "expressionless": ("expressionless", "expressionless", "neutral expression", "closed mouth"),
    "hair ribbon": ("hair ribbon", "ribbon", "hair bow", "red ribbon"),
    "close-up": ("close-up", "close-up", "portrait", "face"),
    "2girls": ("2girls", "2girls", "multiple girls"),
}
KEPT: Final[dict[str, float]] = {"girl": 0.85, "accessory": 0.92, "clothes": 0.7, "style": 0.8}
USUALLY_KEPT: Final = 0.88
LONGEST_LETTERS: Final = 8


def true_tags(scene: Scene) -> tuple[str, ...]:
    """Return every tag that is true of a scene, in the grammar's own order: the caption of an evaluation prompt."""
    return tuple(tag for _, tag in _kinds_and_tags(scene)) + _defect_tags(scene)


def full_caption(scene: Scene) -> str:
    """Return the tags of `true_tags` as a prompt."""
    return ", ".join(true_tags(scene))


def training_caption(scene: Scene, lot: random.Random) -> str:
    """Return a caption with tags dropped, renamed, shuffled and cut off, quality tags, and words that mean nothing.

    Four of a hundred are written with underscores. The empty caption is left to the trainer.
    """
    tags = [
        lot.choice(SYNONYMS.get(tag, (tag,)))
        for kind, tag in _kinds_and_tags(scene)
        if lot.random() < KEPT.get(kind, USUALLY_KEPT)
    ]
    tags += _some(lot, FILLING, 0.5, 3) if len(scene.characters) == 1 else []
    if lot.random() < 0.5:
        lot.shuffle(tags)
    if tags and lot.random() < 0.2:
        tags = tags[: lot.randint(1, len(tags))]
    if lot.random() < 0.12:
        tags.insert(lot.randint(0, len(tags)), _nonsense(lot))
    quality = _quality(scene, lot)
    tags = quality + tags if lot.random() < 0.7 else tags + quality
    text = ", ".join(tags)
    return text.replace(" ", "_").replace(",_", ", ") if lot.random() < 0.04 else text


def vocabulary() -> tuple[str, ...]:
    """Return every tag the grammar can write, sorted."""
    colours = [f"{colour} hair" for colour in HAIR] + [f"{colour} eyes" for colour in EYES]
    colours += [f"{colour} background" for colour in BACKGROUND]
    colours += [f"{colour} {garment}" for colour in CLOTHES for garment in GARMENTS if garment != "school uniform"]
    looks = [*STYLES, *MOUTHS, *FRAMINGS, *ACCESSORIES, "school uniform", "closed eyes", "dark skin", "1girl", "2girls"]
    others = ["gradient background", "no humans", "scenery", "mountain", "outdoors"]
    others += [tag for tags in SKY_TAGS.values() for tag in tags]
    others += [name for names in SYNONYMS.values() for name in names]
    return tuple(sorted({*colours, *looks, *others, *GOOD, *BAD, *BLURRED, *COMPRESSED, *FILLING}))


def _kinds_and_tags(scene: Scene) -> list[tuple[str, str]]:
    if scene.sky is not None:
        names = ("no humans", "scenery", *SKY_TAGS[scene.sky], "mountain", "outdoors")
        return [("scenery", name) for name in names]
    found = [("girl", "1girl" if len(scene.characters) == 1 else "2girls")]
    for character in scene.characters:
        found += [pair for pair in _looks(character) if pair not in found]
    found.append(("background", f"{scene.background} background"))
    if scene.gradient:
        found.append(("gradient", "gradient background"))
    found.append(("framing", scene.framing))
    return found


def _looks(character: Character) -> list[tuple[str, str]]:
    eyes = "closed eyes" if character.eyes_closed else f"{character.eyes} eyes"
    uniform = character.garment == "school uniform"
    found = [("hair", f"{character.hair} hair"), ("style", character.style), ("eyes", eyes), ("mouth", character.mouth)]
    found += [("accessory", accessory) for accessory in character.accessories]
    if character.dark_skin:
        found.append(("skin", "dark skin"))
    found.append(("clothes", character.garment if uniform else f"{character.garment_colour} {character.garment}"))
    return found


def _defect_tags(scene: Scene) -> tuple[str, ...]:
    if scene.defect is None:
        return ()
    return ("worst quality", *(BLURRED if scene.defect == "blurry" else COMPRESSED))


def _quality(scene: Scene, lot: random.Random) -> list[str]:
    if scene.defect is None:
        return _some(lot, GOOD, 0.35, 4)
    own = BLURRED if scene.defect == "blurry" else COMPRESSED
    return [*_some(lot, BAD, 0.9, 3), *_some(lot, own, 0.9, 2)]


def _some(lot: random.Random, tags: tuple[str, ...], chance: float, most: int) -> list[str]:
    if lot.random() >= chance:
        return []
    return lot.sample(tags, lot.randint(1, min(most, len(tags))))


def _nonsense(lot: random.Random) -> str:
    return "".join(lot.choice(string.ascii_lowercase) for _ in range(lot.randint(3, LONGEST_LETTERS)))
