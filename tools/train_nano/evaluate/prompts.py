"""Held-out prompts: scenes that were never rendered for training, written out in full."""

import dataclasses
import random
from collections.abc import Iterable
from typing import Final

from tools.train_nano.render.scene import Character, Framing, Scene, draw_scene

FRAMING_PATTERN: Final[tuple[Framing, ...]] = ("close-up", "close-up", "upper body", "full body")


def held_out_scenes(count: int, salt: str = "evaluation") -> tuple[Scene, ...]:
    """Return plain scenes of one girl: half close-ups, a quarter upper bodies, a quarter full bodies."""
    lot = random.Random(salt)
    found: list[Scene] = []
    while len(found) < count:
        scene = draw_scene(lot)
        if len(scene.characters) == 1:
            framing = FRAMING_PATTERN[len(found) % len(FRAMING_PATTERN)]
            plain = dataclasses.replace(scene, gradient=False, crop=(0.0, 0.0), defect=None, framing=framing)
            found.append(plain)
    return tuple(found)


def girl(scene: Scene) -> Character:
    """Return the one character of a scene."""
    (character,) = scene.characters
    return character


def of_framing(scenes: Iterable[Scene], framing: Framing) -> tuple[Scene, ...]:
    """Return the scenes of one framing."""
    return tuple(scene for scene in scenes if scene.framing == framing)
