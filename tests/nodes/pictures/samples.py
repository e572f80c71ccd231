"""Pictures, provenance and a context to run single nodes in."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from engine.assets import Found
from engine.environment import Environment
from engine.provenance import Provenance
from engine.values import Handle
from nodes.values import Array, Image

Live = TypeVar("Live")

CHECKPOINT_SHA = "6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa"
LORA_SHA = "7c6bad76eb54" + "0" * 52


def noise_image(width: int = 24, height: int = 16, count: int = 1, seeds: tuple[int, ...] = ()) -> Image:
    size = width * height * 3
    data = bytes((7 * index * index + index // 5 + 31 * (index // size)) % 256 for index in range(size * count))
    return Image(Array("U8", (count, height, width, 3), data), seeds)


def default_provenance(
    prompt: str = "1girl, solo", negative: str = "lowres", checkpoint: str = "nova-nano"
) -> Provenance:
    nodes = {
        "loader": {"type": "CheckpointLoader", "inputs": {"checkpoint": "$inputs.checkpoint"}},
        "encoder": {
            "type": "Encoder",
            "inputs": {
                "text_encoders": "$loader.text_encoders",
                "prompt": "$inputs.prompt",
                "negative": "$inputs.negative",
            },
        },
        "pag": {"type": "PAG", "inputs": {"scale": 3.0}},
        "sampler": {
            "type": "Sampler",
            "inputs": {
                "model": "$loader.model",
                "conditioning": "$encoder.conditioning",
                "guidance": "$pag.guidance",
                "steps": 25,
                "cfg": 5.0,
                "seed": 7,
                "sampler": "dpmpp_2m",
            },
        },
        "decode": {"type": "Decode", "inputs": {"vae": "$loader.vae", "latents": "$sampler.latents"}},
        "face/detect": {"type": "DetectFaces", "inputs": {"image": "$decode.image", "confidence": 0.35}},
        "face/prompt": {"type": "Encoder", "inputs": {"prompt": "smile, happy", "prepend": "masterpiece"}},
        "face/detail": {
            "type": "FaceDetailer",
            "inputs": {
                "image": "$decode.image",
                "boxes": "$face/detect.boxes",
                "conditioning": "$face/prompt.conditioning",
                "denoise": 0.45,
            },
        },
        "png": {"type": "Serializer", "inputs": {"image": "$face/detail.image"}},
    }
    inputs = {"prompt": prompt, "negative": negative, "checkpoint": checkpoint}
    declared = {name: {"type": "string", "default": value} for name, value in inputs.items()}
    return Provenance(
        graph={"nova": 1, "inputs": declared, "nodes": nodes, "outputs": {"file": "$png.file"}},  # type: ignore[dict-item]
        inputs=dict(inputs),
        assets=(
            {
                "node": "loader",
                "port": "checkpoint",
                "kind": "checkpoint",
                "name": checkpoint,
                "sha256": CHECKPOINT_SHA,
            },
            {
                "node": "face/detect",
                "port": "detector",
                "kind": "detector",
                "name": "face_yolov8n.pt",
                "sha256": "ab" * 32,
            },
        ),
        environment="cpu|float32|torch=2.9",
        key="k" * 64,
    )


@dataclass
class RunningAlone:
    """A context for one node outside any graph."""

    provenance: Provenance = field(default_factory=default_provenance)
    environment: Environment = field(default_factory=Environment)
    assets: dict[str, Found] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def resident(self, handle: Handle[Live]) -> AbstractContextManager[Live]:
        raise NotImplementedError

    def asset(self, port: str) -> Found:
        return self.assets[port]

    def progress(self, step: int, total: int, *, preview: Callable[[], bytes] | None = None) -> None:
        pass

    def check(self) -> None:
        pass

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def make_room(self) -> None:
        pass

    def makeshift(self, text: str) -> None:
        self.warnings.append(text)


DEFAULTS: dict[str, dict[str, Any]] = {
    "Sampler": {"schedule": "karras", "denoise": 1.0},
    "Encoder": {"clip_skip": 2},
    "ControlNet": {"strength": 1.0, "start": 0.0, "end": 1.0},
}
