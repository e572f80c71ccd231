"""What stands between ComfyUI's nodes and ours: things that one side keeps together and the other apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.values import Json
from nova_graph.importing.comfy.workflow import ComfyNode


@dataclass(frozen=True, slots=True)
class ModelPart:
    """A model, with what ComfyUI keeps in it and Sampler has as ports."""

    ref: str
    loader: str
    guidance: str | None = None
    rescale: Json = None
    soft_mask: Json = None


@dataclass(frozen=True, slots=True)
class ClipPart:
    """Text encoders, with the layer that ComfyUI keeps in them and Encoder has as a port."""

    ref: str
    skip: Json = None


@dataclass(frozen=True, slots=True)
class TextPart:
    """One encoded text; Encoder takes two at once. `micro` is told to Sampler: sizes and the crop."""

    clip: ClipPart
    text: Json
    micro: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Both texts of a sampler: the conditioning, what is told to Sampler, and the ControlNets, the first one first."""

    conditioning: str
    micro: Mapping[str, Json]
    nets: tuple[ComfyNode, ...]


@dataclass(frozen=True, slots=True)
class LatentPart:
    """What a sampler starts from: a size, or latents, perhaps with a mask."""

    ref: str | None = None
    size: Mapping[str, Json] = field(default_factory=dict)
    mask: str | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """How a sampler is run; the steps where it begins and ends are None where it runs all."""

    seed: Json
    steps: Json
    denoise: Json = 1
    start_step: Json = None
    end_step: Json = None
