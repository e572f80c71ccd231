"""What the tests of adapters share: layers of the tiny model, and files that change them."""

from collections.abc import Mapping
from pathlib import Path

import torch

from nodes.sdxl.model import load_model
from nodes.values import Lora, Model, Weights
from tests.nodes.sdxl.loading import WEIGHTS, FileLoading, loading
from tests.tiny import tiny
from tools.single_file import write_safetensors

LORA = Weights("1" * 64, "style.safetensors")
SIZE = (128, 128)
TO_Q = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
"""A linear layer of [16, 16]."""

CONVOLUTION = "down_blocks.0.resnets.0.conv1"
"""A convolution of [8, 8, 3, 3]."""

STRENGTHS = (0.0, 1.0, -0.5)


def kohya(layer: str) -> str:
    """Return the name under which kohya's scripts know a layer of the UNet."""
    return f"lora_unet_{layer.replace('.', '_')}"


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return random numbers, the same for a shape and a seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def write(path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None) -> Path:
    """Write a file of weights and return where it is."""
    write_safetensors(path, dict(tensors), metadata or {})
    return path


def on(checkpoint: Path, lora: Path) -> FileLoading:
    """Return a loading that knows a checkpoint and a LoRA."""
    where = loading(checkpoint)
    where.files[LORA.sha256] = lora
    return where


def model(model_strength: float = 1.0) -> Model:
    """Return the handle of a model with the LoRA."""
    return Model(WEIGHTS, SIZE, loras=(Lora(LORA, model_strength, 1.0),))


def change(checkpoint: Path, lora: Path, layer: str, strength: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weight of a layer without and with a LoRA that may change nothing else."""
    where = on(checkpoint, lora)
    loaded, plain = load_model(model(strength), where).unet.state_dict(), tiny().model.unet.state_dict()
    assert {name for name in plain if not torch.equal(loaded[name], plain[name])} <= {f"{layer}.weight"}
    assert where.warnings == []
    return plain[f"{layer}.weight"], loaded[f"{layer}.weight"]
