"""DoRA files give weights the magnitude that they hold, on the axis that they hold it for."""

from pathlib import Path

import pytest
import torch

from engine.errors import AssetRefused
from nodes.sdxl.lora_file import inspect_lora
from nodes.sdxl.model import load_model
from tests.nodes.sdxl.adapters import CONVOLUTION, STRENGTHS, TO_Q, change, kohya, model, on, random, write
from tests.tiny import tiny

Tensors = dict[str, torch.Tensor]
WIDE = "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj"
"""A linear layer of [128, 16]."""


def save(folder: Path, layer: str, tensors: Tensors) -> Path:
    return write(folder / "style.safetensors", {f"{kohya(layer)}.{end}": tensor for end, tensor in tensors.items()})


def low_rank(outputs: int, inputs: int, *kernel: int) -> Tensors:
    ones = (1,) * len(kernel)
    return {
        "lora_down.weight": random(2, inputs, *kernel),
        "lora_up.weight": random(outputs, 2, *ones),
        "alpha": torch.tensor(1.0),
    }


def trained(plain: torch.Tensor, difference: torch.Tensor, magnitude: torch.Tensor, axis: int) -> torch.Tensor:
    """Return W' slice by slice: each is scaled to the length that its magnitude says."""
    direction = plain + difference
    slices = [
        magnitude.flatten()[index] * own / own.square().sum().sqrt() for index, own in enumerate(direction.unbind(axis))
    ]
    return torch.stack(slices, axis)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("layer", [TO_Q, WIDE, CONVOLUTION])
@pytest.mark.parametrize("axis", [0, 1], ids=["outputs", "inputs"])
def test_each_slice_gets_its_magnitude(
    axis: int, layer: str, strength: float, checkpoint: Path, tmp_path: Path
) -> None:
    shape = tiny().model.unet.state_dict()[f"{layer}.weight"].shape
    magnitude = random(*(size if dim == axis else 1 for dim, size in enumerate(shape))).abs()
    own = low_rank(*shape)
    path = save(tmp_path, layer, {**own, "dora_scale": magnitude})
    plain, changed = change(checkpoint, path, layer, strength)
    product = torch.einsum("or, r... -> o...", own["lora_up.weight"].flatten(1), own["lora_down.weight"])
    whole = trained(plain, 0.5 * product, magnitude, axis)
    torch.testing.assert_close(changed, (1 - strength) * plain + strength * whole)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("kind", ["LoKr", "LoHa"])
def test_other_adapters_can_have_a_magnitude(kind: str, strength: float, checkpoint: Path, tmp_path: Path) -> None:
    magnitude = random(1, 16).abs()
    if kind == "LoKr":
        own = {"lokr_w1": random(4, 2), "lokr_w2": random(4, 8, seed=1)}
        difference = torch.kron(*own.values())
    else:
        names = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
        own = {name: random(*((16, 2), (2, 16))[number % 2], seed=number) for number, name in enumerate(names)}
        first, second, third, fourth = own.values()
        difference = (first @ second) * (third @ fourth)
    plain, changed = change(checkpoint, save(tmp_path, TO_Q, {**own, "dora_scale": magnitude}), TO_Q, strength)
    whole = trained(plain, difference, magnitude, 1)
    torch.testing.assert_close(changed, (1 - strength) * plain + strength * whole)


def test_the_magnitude_of_the_weight_itself_changes_nothing_but_the_direction(checkpoint: Path, tmp_path: Path) -> None:
    own = low_rank(16, 16)
    own["lora_up.weight"] = torch.zeros(16, 2)
    plain = tiny().model.unet.state_dict()[f"{TO_Q}.weight"]
    path = save(tmp_path, TO_Q, {**own, "dora_scale": plain.norm(dim=0, keepdim=True)})
    torch.testing.assert_close(change(checkpoint, path, TO_Q)[1], plain)


def test_a_slice_of_zeros_stays_zeros(checkpoint: Path, tmp_path: Path) -> None:
    plain = tiny().model.unet.state_dict()[f"{TO_Q}.weight"]
    opposite = {"lora_down.weight": torch.eye(16), "lora_up.weight": -plain, "dora_scale": torch.ones(16, 1)}
    _, changed = change(checkpoint, save(tmp_path, TO_Q, opposite), TO_Q)
    assert not changed.any()


@pytest.mark.parametrize(
    ("layer", "magnitude"),
    [
        (TO_Q, (16,)),
        (TO_Q, (1, 8)),
        (TO_Q, (1, 1)),
        (TO_Q, (16, 16)),
        (TO_Q, (1, 16, 1, 1)),
        (TO_Q, ()),
        (WIDE, (1, 128)),
        (WIDE, (16, 1)),
        (CONVOLUTION, (1, 8)),
        (CONVOLUTION, (1, 8, 3, 3)),
    ],
)
def test_other_magnitudes_are_refused(layer: str, magnitude: tuple[int, ...], checkpoint: Path, tmp_path: Path) -> None:
    shape = tiny().model.unet.state_dict()[f"{layer}.weight"].shape
    path = save(tmp_path, layer, {**low_rank(*shape), "dora_scale": torch.ones(magnitude)})
    with pytest.raises(AssetRefused, match=rf"{kohya(layer)} has dora_scale \[.*not for the outputs or inputs of"):
        load_model(model(), on(checkpoint, path))


def test_a_magnitude_alone_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "style.safetensors", {"lora_unet_x.dora_scale": torch.ones(1, 1)})
    with pytest.raises(AssetRefused, match="not whole: lora_unet_x holds dora_scale and nothing else"):
        inspect_lora(path)
