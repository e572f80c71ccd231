"""How strongly the layers of a LoRA act, where its metadata tells."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

from engine.errors import AssetRefused
from nodes.sdxl.header import Header

_METADATA = "lora_adapter_metadata"
_PLAIN = re.compile(r"\^?\w+(\.\w+)*")


@dataclass(frozen=True, slots=True)
class Scale:
    """What peft's settings say of one part of a model; without them, alpha is the rank.

    `alphas` holds an alpha for layers whose names end so, or are just so where a `^` comes first; the first that fits
    counts.
    """

    alpha: float | None = None
    alphas: Mapping[str, float] = field(default_factory=dict)
    rank_stabilised: bool = False

    def factor(self, layer: str, rank: int, alpha: float | None) -> float:
        """Return by what to multiply up @ down; an alpha that the file holds for the layer itself comes first.

        Rank-stabilised: Kalajdzievski 2023, https://arxiv.org/abs/2312.03732.
        """
        if alpha is None:
            told = next((own for pattern, own in self.alphas.items() if _fits(pattern, layer)), self.alpha)
            alpha = rank if told is None else told
        return alpha / (sqrt(rank) if self.rank_stabilised else rank)


def read_scale(header: Header, part: str) -> Scale:
    """Read the settings that diffusers writes for a part; raises AssetRefused where they cannot be followed."""
    try:
        told = json.loads(header.metadata.get(_METADATA, "{}"))
        alpha = told.get(f"{part}.lora_alpha")
        alphas = {str(name): float(own) for name, own in (told.get(f"{part}.alpha_pattern") or {}).items()}
        scale = Scale(None if alpha is None else float(alpha), alphas, bool(told.get(f"{part}.use_rslora")))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise AssetRefused(f"{header.name} carries settings under {_METADATA} that cannot be read") from error
    odd = next((pattern for pattern in alphas if not _PLAIN.fullmatch(pattern)), None)
    if odd is not None:
        raise AssetRefused(
            f"{header.name} sets the alpha of layers by a pattern that is no plain name: {odd[:60]!r}",
            hint="Save the LoRA again with an alpha_pattern of layer names.",
        )
    return scale


def _fits(pattern: str, layer: str) -> bool:
    if pattern.startswith("^"):
        return layer == pattern[1:]
    return layer == pattern or layer.endswith(f".{pattern}")
