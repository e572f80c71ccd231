"""A prompt after parsing: stretches of text, each with one weight."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Dialect = Literal["a1111", "comfy"]
"""Whose reading of brackets applies."""

MAX_WEIGHT = 10.0
"""Weights are held within -10 and 10; far beyond 2 a picture only breaks."""

_OVERFLOW = 1e30
_DECIMALS = 9


@dataclass(frozen=True, slots=True)
class Fragment:
    """A stretch of text and how strongly it counts; 1 is plain.

    Where `embedding` is not empty, the vectors of that word stand in place of the text. `continued` says that it was
    one fragment with the one before it until an embedding was found there.
    """

    text: str
    weight: float = 1.0
    embedding: str = ""
    continued: bool = False


Section = tuple[Fragment, ...]
"""The fragments between two BREAKs; empty where nothing is written."""


def dialect_of(weighting: str) -> Dialect:
    """Return whose syntax is read for the Encoder's `weighting`."""
    return "comfy" if weighting == "comfy" else "a1111"


def read_weight(text: str) -> float | None:
    """Read a weight as Python reads a float; None where it is no finite number."""
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if math.isfinite(weight) else None


def multiply_weights(outer: float, inner: float) -> float:
    """Multiply two weights and stay finite, however deep the brackets nest."""
    return max(-_OVERFLOW, min(_OVERFLOW, outer * inner))


def bound_weight(weight: float) -> float:
    """Hold a weight within the bounds, without the last digits that repeated multiplication leaves."""
    return round(max(-MAX_WEIGHT, min(MAX_WEIGHT, weight)), _DECIMALS)


def merge_runs(runs: Iterable[tuple[str, float]]) -> Section:
    """Join neighbours of equal weight and drop empty texts, in linear time."""
    merged: list[Fragment] = []
    texts: list[str] = []
    common = 1.0
    for text, weight in runs:
        if not text:
            continue
        if texts and weight != common:
            merged.append(Fragment("".join(texts), common))
            texts = []
        texts.append(text)
        common = weight
    if texts:
        merged.append(Fragment("".join(texts), common))
    return tuple(merged)
