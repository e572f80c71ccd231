"""From readings to figures: what share of pictures is as it was asked for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tools.train_nano.evaluate.probes import labels_of
from tools.train_nano.render.scene import ACCESSORIES, Scene

Reading = dict[str, dict[str, float]]
FACE_ONLY: Final = frozenset({"eyes", "closed", "mouth", "glasses"})


@dataclass(frozen=True, slots=True)
class Judged:
    """A scene that was asked for, what the probes read from the picture, and how many faces were found in it."""

    scene: Scene
    reading: Reading
    faces: int

    def right(self, attribute: str) -> bool:
        """Say whether an attribute is as asked for; one that only a face shows is wrong where no face was found."""
        if attribute not in self.reading:
            return False
        read = self.reading[attribute]
        return max(read, key=lambda value: read[value]) == labels_of(self.scene)[attribute]

    @property
    def accessories_right(self) -> bool:
        """Say whether exactly those accessories are there that were asked for."""
        return all(self.right(name) for name in ACCESSORIES)


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share, 0..1; not a number where nothing was measured."""
        return self.hits / self.of if self.of else float("nan")

    def __str__(self) -> str:
        return f"{self.value:.1%} of {self.of}" if self.of else "not measured"


def share(cases: Iterable[Judged], test: Callable[[Judged], bool]) -> Share:
    """Return the share of cases that pass a test."""
    passed = [test(case) for case in cases]
    return Share(sum(map(int, passed)), len(passed))


def attribute_shares(cases: Sequence[Judged]) -> dict[str, Share]:
    """Return the share of pictures that are as asked for, by attribute."""
    open_eyes = [case for case in cases if case.scene.framing == "close-up" and _eyes_open(case)]
    large = [case for case in cases if case.scene.framing != "full body"]
    whole = [case for case in cases if case.scene.framing == "full body"]
    return {
        "hair colour": share(cases, lambda case: case.right("hair")),
        "background colour": share(cases, lambda case: case.right("background")),
        "eye colour (close-up, eyes open)": share(open_eyes, lambda case: case.right("eyes")),
        "framing": share(cases, lambda case: case.right("framing")),
        "expression (close-up, upper body)": share(large, lambda case: case.right("mouth") and case.right("closed")),
        "accessories, exactly those asked for": share(cases, lambda case: case.accessories_right),
        "hair style": share(cases, lambda case: case.right("style")),
        "exactly one face (close-up, upper body)": share(large, lambda case: case.faces == 1),
        "exactly one face (full body)": share(whole, lambda case: case.faces == 1),
    }


def mean_accuracy(cases: Sequence[Judged]) -> float:
    """Return the mean over attributes, for comparing one way of drawing with another."""
    attributes = ("hair", "background", "framing", "style", "mouth", "closed")
    return sum(share(cases, lambda case, name=name: case.right(name)).value for name in attributes) / len(attributes)  # type: ignore[misc]


def _eyes_open(case: Judged) -> bool:
    return labels_of(case.scene)["closed"] == "no"
