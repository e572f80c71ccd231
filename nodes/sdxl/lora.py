"""Adapters of some small tensors for each layer, added to weights while they are loaded."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import torch

from engine.errors import AssetRefused
from engine.values import Loading
from nodes.sdxl import dora, full, loha, lokr, low_rank
from nodes.sdxl.factors import Shape, Shapes, Tensors
from nodes.sdxl.layout import UNET, Place
from nodes.sdxl.lora_file import BESIDE, Kind, Layer, LoraFile, inspect_lora
from nodes.sdxl.lora_names import Part
from nodes.sdxl.weights import WeightFile, open_weights
from nodes.values import Lora


@dataclass(frozen=True, slots=True)
class Technique:
    """How the tensors of a layer make a difference.

    `fits` tells from their shapes alone whether it has that of a weight, `rank` by what alpha is divided (None where
    alpha does not count), and `build` returns the difference in as many numbers as the weight has.
    """

    fits: Callable[[Shapes, Shape], bool]
    rank: Callable[[Shapes], int | None]
    build: Callable[[Tensors], torch.Tensor]


TECHNIQUES: Mapping[Kind, Technique] = {
    "LoRA": Technique(low_rank.fits, low_rank.rank, low_rank.build),
    "LoKr": Technique(lokr.fits, lokr.rank, lokr.build),
    "LoHa": Technique(loha.fits, loha.rank, loha.build),
    "full": Technique(full.fits, full.rank, full.build),
}


@dataclass(slots=True)
class Patch:
    """One LoRA file on one part of a model, and which of its layers have been used."""

    file: LoraFile
    weights: WeightFile
    part: Part
    strength: float
    layers: Mapping[str, Layer]
    used: set[str] = field(default_factory=set)

    def add(self, names: tuple[str, ...], weight: torch.Tensor) -> torch.Tensor:
        """Return a layer's weight with this LoRA added, computed in float32; raises AssetRefused on other shapes."""
        for name in names:
            if name in self.layers:
                self.used.add(name)
                weight = self._changed(name, weight.float())
        return weight

    def _changed(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """Return weight + strength * what the layer makes of it; no tensor is read before all shapes are right."""
        layer = self.layers[name]
        technique = TECHNIQUES[layer.kind]
        self._refuse_others(name, layer, tuple(weight.shape))
        tensors = {role: self.weights.get(tensor).float() for role, tensor in layer.names.items()}
        rank = technique.rank(layer.shapes)
        alpha = float(tensors["alpha"].item()) if "alpha" in tensors else None
        scale = self.file.scales[self.part]
        factor = 1.0 if rank is None else scale.factor(name.removeprefix(f"{self.part}."), rank, alpha)
        difference = technique.build(tensors).reshape(weight.shape)
        if "dora_scale" not in tensors:
            return weight + (self.strength * factor) * difference
        trained = dora.with_magnitude(weight + factor * difference, tensors["dora_scale"])
        return weight + self.strength * (trained - weight)

    def _refuse_others(self, name: str, layer: Layer, shape: Shape) -> None:
        """Raise AssetRefused where a layer does not make a weight of that shape."""
        told = None
        if not TECHNIQUES[layer.kind].fits(layer.shapes, shape):
            main = (f"{role} {list(own)}" for role, own in layer.shapes.items() if role not in BESIDE)
            told = f"the shapes {', '.join(main)}, which do not make {list(shape)}"
        elif "dora_scale" in layer.shapes and not dora.fits(layer.shapes["dora_scale"], shape):
            magnitude = list(layer.shapes["dora_scale"])
            told = f"dora_scale {magnitude}, which is not for the outputs or inputs of {list(shape)}"
        if told is not None:
            raise AssetRefused(
                f"{self.file.name}: {name} has {told}",
                hint="The LoRA was trained for another model than SDXL, or another size of it.",
            )


@dataclass(frozen=True, slots=True)
class Patches:
    """All LoRAs on one part of a model."""

    patches: tuple[Patch, ...]
    places: Mapping[str, Place]
    part: Part

    def __call__(self, parameter: str, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight or bias of a layer with all LoRAs added, in order."""
        if not parameter.endswith((".weight", ".bias")):
            return weight
        names = layer_names(self.part, parameter, self.places[parameter])
        for patch in self.patches:
            weight = patch.add(names, weight)
        return weight

    def report(self, loading: Loading) -> None:
        """Raise AssetRefused for a LoRA that changed nothing, and warn of layers that this model does not have."""
        for patch in self.patches:
            unused = len(patch.layers) - len(patch.used)
            if patch.layers and not patch.used:
                raise AssetRefused(
                    f"{patch.file.name} fits no layer of this model's {self.part}",
                    hint="The LoRA was trained for another model than SDXL.",
                )
            if unused:
                loading.warn(f"{patch.file.name}: {unused} of {len(patch.layers)} layers do not exist in {self.part}")


@contextmanager
def open_loras(loras: tuple[Lora, ...], part: Part, places: Mapping[str, Place], loading: Loading) -> Iterator[Patches]:
    """Open the LoRAs of a handle for one part of its model; raises AssetMissing or AssetRefused."""
    with ExitStack() as stack:
        patches = []
        for lora in loras:
            path = loading.path(lora.weights.sha256)
            file = inspect_lora(path)
            weights = stack.enter_context(open_weights(path))
            strength = lora.model_strength if part == "unet" else lora.text_strength
            patches.append(Patch(file, weights, part, strength, file.layers_of(part)))
        found = Patches(tuple(patches), places, part)
        yield found
        found.report(loading)


def layer_names(part: Part, parameter: str, place: Place) -> tuple[str, ...]:
    """Return all names under which LoRA files know the layer of a weight, or that of a bias."""
    if parameter.endswith(".bias"):
        weight = replace(place, key=place.key.removesuffix(".bias") + ".weight")
        return tuple(f"{name}.bias" for name in layer_names(part, parameter.removesuffix("bias") + "weight", weight))
    layer = parameter.removesuffix(".weight")
    if part == "unet":
        original = place.key.removeprefix(UNET).removesuffix(".weight")
        flat, flat_original = layer.replace(".", "_"), original.replace(".", "_")
        kohya = dict.fromkeys([f"lora_unet_{flat_original}", f"lora_unet_{flat}"])
        return (*kohya, f"unet.{layer}", f"diffusion_model.{original}")
    layer = "text_model." + layer.removeprefix("text_model.") if layer != "text_projection" else layer
    kohyas, comfys = ("lora_te1_", "clip_l") if part == "text_encoder" else ("lora_te2_", "clip_g")
    return (
        kohyas + layer.replace(".", "_"),
        f"{part}.{layer}",
        f"{part}.{layer.removeprefix('text_model.')}",
        f"text_encoders.{comfys}.transformer.{layer}",
    )
