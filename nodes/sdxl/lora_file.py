"""What a LoRA file holds: which layers it changes, told from its header alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

from engine.errors import AssetRefused
from nodes.sdxl.header import Header, read_header
from nodes.sdxl.lora_names import PREFIXES, Part, layer_and_role
from nodes.sdxl.lora_scale import Scale, read_scale

Kind = Literal["LoRA", "LoKr", "LoHa", "full"]

_HADA = frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"})
_WHOLE: Mapping[Kind, tuple[frozenset[str], ...]] = {
    "LoRA": (frozenset({"lora_down", "lora_up"}),),
    "LoKr": tuple(
        first | second
        for first in (frozenset({"lokr_w1"}), frozenset({"lokr_w1_a", "lokr_w1_b"}))
        for second in (
            frozenset({"lokr_w2"}),
            frozenset({"lokr_w2_a", "lokr_w2_b"}),
            frozenset({"lokr_t2", "lokr_w2_a", "lokr_w2_b"}),
        )
    ),
    "LoHa": (_HADA, _HADA | {"hada_t1", "hada_t2"}),
    "full": (frozenset({"diff"}),),
}
"""The sets of tensors that make the difference to one weight."""

_CORES = ("lokr_t2", "hada_t1", "hada_t2")
BESIDE = {"alpha", "dora_scale"}
"""What may stand beside them, but for full differences."""

LARGEST_LAYER = 2**27
"""How many numbers a layer may need in memory, 512 MB in float32; SDXL's largest weight has a tenth of that."""

_OTHER_KINDS = re.compile(r"lora_mid|lora_magnitude|\.(oft|boft)_")
_HINT = "Choose a LoRA that was trained for SDXL."
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Layer:
    """The tensors that change one weight, by what they are of it: their names in the file, and their shapes."""

    kind: Kind
    names: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class LoraFile:
    """The layers a LoRA changes, and what its metadata says of how strongly, for each part of the model."""

    name: str
    layers: Mapping[str, Layer]
    scales: Mapping[Part, Scale]

    def layers_of(self, part: Part) -> dict[str, Layer]:
        """Return the layers that belong to one part of a model."""
        return {name: layer for name, layer in self.layers.items() if name.startswith(PREFIXES[part])}


def inspect_lora(path: Path) -> LoraFile:
    """Read which layers a LoRA changes.

    Raises AssetMissing, or AssetRefused where it is none, is of another kind, or holds anything that would be left out.
    """
    header = read_header(path)
    other = next((name for name in header.tensors if _OTHER_KINDS.search(name)), None)
    if other is not None:
        raise AssetRefused(
            f"{header.name} is an adapter of a kind that is not supported: it holds {other[-60:]}",
            hint="LoRA, LoCon, LoKr, LoHa, DoRA and full differences work; OFT does not.",
        )
    named = _named(header)
    layers = {name: _layer(header, name, names) for name, names in named.items()}
    _refuse_foreign(header.name, layers)
    return LoraFile(header.name, layers, {part: read_scale(header, part) for part in PREFIXES})


def _named(header: Header) -> dict[str, dict[str, str]]:
    """Return the names of the tensors by layer, and by what they are of it."""
    layers: dict[str, dict[str, str]] = {}
    unknown = []
    for name in header.tensors:
        found = layer_and_role(name)
        if found is None:
            unknown.append(name)
        else:
            layer, role = found
            first = layers.setdefault(layer, {}).setdefault(role, name)
            if first != name:
                raise AssetRefused(
                    f"{header.name} says {role} of {layer[:100]} twice: {first[-60:]} and {name[-60:]}", hint=_HINT
                )
    if not layers:
        raise AssetRefused(f"{header.name} is not a LoRA", hint=_HINT)
    if unknown:
        raise AssetRefused(
            f"{header.name} holds tensors whose use is not known: {_few(unknown)}",
            hint="Leaving them out would draw something else than was trained; save the LoRA without them.",
        )
    return layers


def _layer(header: Header, name: str, names: Mapping[str, str]) -> Layer:
    """Return a layer; raises AssetRefused where its tensors do not go together, or are too large."""
    roles = names.keys() - BESIDE
    kind = next((kind for kind, wholes in _WHOLE.items() if roles in wholes), None)
    if kind is None or (kind == "full" and len(names) > 1):
        held = f"{name[:100]} holds {', '.join(sorted(names))}"
        if any(roles < whole for wholes in _WHOLE.values() for whole in wholes):
            raise AssetRefused(f"{header.name} is not whole: {held} and nothing else", hint=_HINT)
        raise AssetRefused(f"{header.name} mixes adapters: {held}, which do not go together", hint=_HINT)
    shapes = {role: header.tensors[tensor].shape for role, tensor in names.items()}
    if prod(shapes.get("alpha", ())) != 1:
        raise AssetRefused(f"{header.name} is damaged: {names['alpha'][:100]} is not one number", hint=_HINT)
    numbers = _numbers(shapes)
    if numbers > LARGEST_LAYER:
        raise AssetRefused(
            f"{header.name} is too large: {name[:100]} needs {numbers:,} numbers in memory, and at most "
            f"{LARGEST_LAYER:,} are allowed",
            hint="No layer of SDXL needs so many.",
        )
    return Layer(kind, names, shapes)


def _numbers(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return how many numbers are in memory at once while a difference is made, but for the difference itself.

    A core is multiplied with one factor before the other: then that factor is as large as it is, times the kernel.
    """
    return sum(map(prod, shapes.values())) * max(prod(shapes.get(core, ())[2:]) for core in _CORES)


def _refuse_foreign(file: str, layers: Mapping[str, Layer]) -> None:
    prefixes = tuple(prefix for names in PREFIXES.values() for prefix in names)
    foreign = [name for name in layers if not name.startswith(prefixes)]
    if len(foreign) == len(layers):
        raise AssetRefused(f"{file} changes no layer of an SDXL model, but {_few(foreign)}", hint=_HINT)
    if foreign:
        raise AssetRefused(f"{file} also changes layers that an SDXL model does not have: {_few(foreign)}", hint=_HINT)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name[:80] for name in names[:_NAMED]) + more
