"""LoKr files add the Kronecker product that their definition says, and wrong ones are refused before it is made."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from engine.errors import AssetRefused
from nodes.sdxl.lora_file import LARGEST_LAYER, inspect_lora
from nodes.sdxl.model import load_model
from tests.nodes.sdxl.adapters import CONVOLUTION, STRENGTHS, TO_Q, change, kohya, model, on, random, write
from tests.nodes.sdxl.sparse import write_sparse

Tensors = dict[str, torch.Tensor]
Shapes = Mapping[str, tuple[int, ...]]


def filled(shapes: Shapes, alpha: float | None = None) -> Tensors:
    tensors = {role: random(*shape, seed=number) for number, (role, shape) in enumerate(shapes.items())}
    return tensors if alpha is None else {**tensors, "alpha": torch.tensor(alpha)}


def save(folder: Path, layer: str, tensors: Tensors) -> Path:
    return write(
        folder / "style.safetensors",
        {f"{kohya(layer)}.lokr_{role}".replace("lokr_alpha", "alpha"): tensor for role, tensor in tensors.items()},
    )


def kernels(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the Kronecker product at each place of the kernel."""
    places = [[torch.kron(first, second[:, :, y, x]) for x in range(3)] for y in range(3)]
    return torch.stack([torch.stack(row, -1) for row in places], -2)


LINEAR: Mapping[str, tuple[Shapes, float | None, float]] = {
    "whole": ({"w1": (4, 2), "w2": (4, 8)}, None, 1.0),
    "whole, an alpha that means nothing": ({"w1": (4, 2), "w2": (4, 8)}, 7.0, 1.0),
    "second as a product": ({"w1": (4, 2), "w2_a": (4, 3), "w2_b": (3, 8)}, 1.5, 0.5),
    "second as a product, no alpha": ({"w1": (4, 2), "w2_a": (4, 3), "w2_b": (3, 8)}, None, 1.0),
    "first as a product": ({"w1_a": (4, 3), "w1_b": (3, 2), "w2": (4, 8)}, 6.0, 2.0),
    "both as products": ({"w1_a": (4, 3), "w1_b": (3, 2), "w2_a": (4, 3), "w2_b": (3, 8)}, 1.5, 0.5),
}


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("case", LINEAR)
def test_linear_layers(case: str, strength: float, checkpoint: Path, tmp_path: Path) -> None:
    shapes, alpha, scale = LINEAR[case]
    own = filled(shapes, alpha)
    plain, changed = change(checkpoint, save(tmp_path, TO_Q, own), TO_Q, strength)
    first = own["w1"] if "w1" in own else own["w1_a"] @ own["w1_b"]
    second = own["w2"] if "w2" in own else own["w2_a"] @ own["w2_b"]
    torch.testing.assert_close(changed, plain + strength * scale * torch.kron(first, second))


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("shape", [(3, 2 * 3 * 3), (3, 2, 3, 3)], ids=["flattened", "with a kernel"])
def test_convolutions(shape: tuple[int, ...], strength: float, checkpoint: Path, tmp_path: Path) -> None:
    own = filled({"w1": (2, 4), "w2_a": (4, 3), "w2_b": shape}, 1.5)
    plain, changed = change(checkpoint, save(tmp_path, CONVOLUTION, own), CONVOLUTION, strength)
    second = torch.einsum("or, rikl -> oikl", own["w2_a"], own["w2_b"].reshape(3, 2, 3, 3))
    torch.testing.assert_close(changed, plain + strength * 0.5 * kernels(own["w1"], second))


@pytest.mark.parametrize("strength", STRENGTHS)
def test_convolutions_with_a_whole_kernel(strength: float, checkpoint: Path, tmp_path: Path) -> None:
    own = filled({"w1": (2, 4), "w2": (4, 2, 3, 3)}, 7.0)
    plain, changed = change(checkpoint, save(tmp_path, CONVOLUTION, own), CONVOLUTION, strength)
    torch.testing.assert_close(changed, plain + strength * kernels(own["w1"], own["w2"]))


@pytest.mark.parametrize("strength", STRENGTHS)
def test_convolutions_with_a_core(strength: float, checkpoint: Path, tmp_path: Path) -> None:
    own = filled({"w1": (2, 4), "t2": (3, 3, 3, 3), "w2_a": (3, 4), "w2_b": (3, 2)}, 1.5)
    plain, changed = change(checkpoint, save(tmp_path, CONVOLUTION, own), CONVOLUTION, strength)
    second = torch.zeros(4, 2, 3, 3)
    for i in range(3):
        for j in range(3):
            outer = own["w2_a"][i][:, None, None, None] * own["w2_b"][j][None, :, None, None]
            second += own["t2"][i, j] * outer
    torch.testing.assert_close(changed, plain + strength * 0.5 * kernels(own["w1"], second))


HUGE = 2**20


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (TO_Q, {"w1": (4, 4), "w2": (4, 8)}),
        (TO_Q, {"w1": (4,), "w2": (4, 16)}),
        (TO_Q, {"w1": (0, 4), "w2": (4, 4)}),
        (TO_Q, {"w1": (HUGE, 1), "w2": (HUGE, 1)}),
        (TO_Q, {"w1_a": (HUGE, 1), "w1_b": (1, HUGE), "w2": (4, 4)}),
        (TO_Q, {"w1": (4, 4), "w2_a": (HUGE, 1), "w2_b": (1, HUGE)}),
        (TO_Q, {"w1": (4, 2), "w2_a": (4, 3), "w2_b": (2, 8)}),
        (TO_Q, {"w1_a": (4, 2), "w1_b": (2, 2), "w2_a": (4, 3), "w2_b": (3, 8)}),
        (TO_Q, {"w1": (4, 4), "w2": (4, 2, 1, 2)}),
        (CONVOLUTION, {"w1": (2, 4), "w2": (4, 2)}),
        (CONVOLUTION, {"w1": (2, 4), "w2": (4, 2, 9, 1)}),
        (CONVOLUTION, {"w1": (2, 3), "w2": (4, 24)}),
        (CONVOLUTION, {"w1": (2, 4), "t2": (3, 3, 1, 1), "w2_a": (3, 4), "w2_b": (3, 2)}),
        (CONVOLUTION, {"w1": (2, 4), "t2": (3, 2, 3, 3), "w2_a": (3, 4), "w2_b": (2, 2)}),
        (CONVOLUTION, {"w1": (2, 4), "t2": (3, 3, 3, 3), "w2_a": (4, 3), "w2_b": (3, 2)}),
        (CONVOLUTION, {"w1": (2, 4), "t2": (3,), "w2_a": (3, 4), "w2_b": (3, 2)}),
    ],
)
def test_other_shapes_are_refused(layer: str, shapes: Shapes, checkpoint: Path, tmp_path: Path) -> None:
    path = save(tmp_path, layer, {role: torch.zeros(shape) for role, shape in shapes.items()})
    with pytest.raises(AssetRefused, match=f"{kohya(layer)} has the shapes lokr_.*which do not make"):
        load_model(model(), on(checkpoint, path))


@pytest.mark.parametrize(
    ("roles", "complaint"),
    [
        (["lokr_w1"], "not whole: lora_unet_x holds lokr_w1 and nothing else"),
        (["lokr_w1", "lokr_w2_a"], "not whole: lora_unet_x holds lokr_w1, lokr_w2_a and nothing else"),
        (["lokr_w1", "lokr_t2"], "not whole"),
        (["alpha"], "not whole: lora_unet_x holds alpha and nothing else"),
        (["lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2"], "mixes adapters: lora_unet_x holds lokr_w1, lokr_w1_a"),
        (["lokr_w1", "lokr_w2", "lokr_t2"], "mixes adapters"),
        (["lokr_w1", "lokr_w2", "lora_down.weight", "lora_up.weight"], "which do not go together"),
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(roles: list[str], complaint: str, tmp_path: Path) -> None:
    path = write(tmp_path / "style.safetensors", {f"lora_unet_x.{role}": torch.zeros(1, 1) for role in roles})
    with pytest.raises(AssetRefused, match=complaint):
        inspect_lora(path)


@pytest.mark.parametrize(
    "shapes",
    [
        {"lokr_w1": (1, 1), "lokr_w2": (1, LARGEST_LAYER)},
        {"lokr_w1": (1, 1), "lokr_w2_a": (1, LARGEST_LAYER // 2), "lokr_w2_b": (LARGEST_LAYER // 2, 1)},
        {"lokr_w1": (1, 1), "lokr_t2": (4, 4, 3, 3), "lokr_w2_a": (4, 1), "lokr_w2_b": (4, LARGEST_LAYER // 32)},
        {"lora_down.weight": (LARGEST_LAYER, 1), "lora_up.weight": (1, LARGEST_LAYER)},
    ],
    ids=["whole", "rank", "core", "LoRA"],
)
def test_a_layer_that_needs_absurd_memory_is_refused_unread(shapes: Shapes, tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "style.safetensors", {f"lora_unet_x.{role}": own for role, own in shapes.items()})
    with pytest.raises(AssetRefused, match=r"lora_unet_x needs [0-9,]+ numbers in memory, and at most 134,217,728"):
        inspect_lora(path)
