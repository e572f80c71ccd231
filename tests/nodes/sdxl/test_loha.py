"""LoHa files add the elementwise product that their definition says, and wrong ones are refused."""

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
RANK = 3


def pairs(left: tuple[int, ...], right: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {"w1_a": left, "w1_b": right, "w2_a": left, "w2_b": right}


def filled(shapes: Shapes) -> Tensors:
    return {role: random(*shape, seed=number) for number, (role, shape) in enumerate(shapes.items())}


def save(folder: Path, layer: str, tensors: Tensors, alpha: float | None = None) -> Path:
    named = {f"{kohya(layer)}.hada_{role}": tensor for role, tensor in tensors.items()}
    if alpha is not None:
        named[f"{kohya(layer)}.alpha"] = torch.tensor(alpha)
    return write(folder / "style.safetensors", named)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(("alpha", "scale"), [(None, 1.0), (1.5, 0.5)])
def test_linear_layers(alpha: float | None, scale: float, strength: float, checkpoint: Path, tmp_path: Path) -> None:
    own = filled(pairs((16, RANK), (RANK, 16)))
    plain, changed = change(checkpoint, save(tmp_path, TO_Q, own, alpha), TO_Q, strength)
    expected = plain.clone()
    for row in range(16):
        for column in range(16):
            first = sum(own["w1_a"][row, i] * own["w1_b"][i, column] for i in range(RANK))
            second = sum(own["w2_a"][row, i] * own["w2_b"][i, column] for i in range(RANK))
            expected[row, column] += strength * scale * first * second
    torch.testing.assert_close(changed, expected)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("right", [(RANK, 8 * 3 * 3), (RANK, 8, 3, 3)], ids=["flattened", "with a kernel"])
def test_convolutions(right: tuple[int, ...], strength: float, checkpoint: Path, tmp_path: Path) -> None:
    own = filled(pairs((8, RANK), right))
    plain, changed = change(checkpoint, save(tmp_path, CONVOLUTION, own, 1.5), CONVOLUTION, strength)
    first = torch.einsum("or, rikl -> oikl", own["w1_a"], own["w1_b"].reshape(RANK, 8, 3, 3))
    second = torch.einsum("or, rikl -> oikl", own["w2_a"], own["w2_b"].reshape(RANK, 8, 3, 3))
    torch.testing.assert_close(changed, plain + strength * 0.5 * (first * second))


def tucker(core: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the sum over both ranks of core * left's row * right's row."""
    made = torch.zeros(8, 8, 3, 3)
    for i in range(RANK):
        for j in range(RANK):
            made += core[i, j] * left[i][:, None, None, None] * right[j][None, :, None, None]
    return made


@pytest.mark.parametrize("strength", STRENGTHS)
def test_convolutions_with_cores(strength: float, checkpoint: Path, tmp_path: Path) -> None:
    core = (RANK, RANK, 3, 3)
    own = filled({**pairs((RANK, 8), (RANK, 8)), "t1": core, "t2": core})
    plain, changed = change(checkpoint, save(tmp_path, CONVOLUTION, own, 1.5), CONVOLUTION, strength)
    first, second = (tucker(own[f"t{n}"], own[f"w{n}_a"], own[f"w{n}_b"]) for n in (1, 2))
    torch.testing.assert_close(changed, plain + strength * 0.5 * (first * second))


HUGE = 2**20


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (TO_Q, pairs((16, 2), (2, 8))),
        (TO_Q, pairs((16, 2), (3, 16))),
        (TO_Q, pairs((HUGE, 1), (1, HUGE))),
        (TO_Q, pairs((16, 0), (0, 16))),
        (TO_Q, pairs((16,), (16,))),
        (TO_Q, {**pairs((16, 2), (2, 16)), "w2_a": (16, 3), "w2_b": (3, 16)}),
        (TO_Q, {**pairs((16, 2), (2, 16)), "w2_a": (8, 2)}),
        (CONVOLUTION, pairs((8, 2), (2, 8))),
        (CONVOLUTION, {**pairs((2, 8), (2, 8)), "t1": (2, 2, 3, 3), "t2": (2, 2, 1, 1)}),
        (CONVOLUTION, {**pairs((8, 2), (2, 8)), "t1": (2, 2, 3, 3), "t2": (2, 2, 3, 3)}),
    ],
)
def test_other_shapes_are_refused(layer: str, shapes: Shapes, checkpoint: Path, tmp_path: Path) -> None:
    path = save(tmp_path, layer, {role: torch.zeros(shape) for role, shape in shapes.items()})
    with pytest.raises(AssetRefused, match=f"{kohya(layer)} has the shapes hada_.*which do not make"):
        load_model(model(), on(checkpoint, path))


@pytest.mark.parametrize(
    ("roles", "complaint"),
    [
        (["w1_a", "w1_b"], "not whole: lora_unet_x holds hada_w1_a, hada_w1_b and nothing else"),
        (["w1_a", "w1_b", "w2_a", "w2_b", "t1"], "not whole"),
    ],
)
def test_files_that_are_not_whole_are_refused(roles: list[str], complaint: str, tmp_path: Path) -> None:
    path = write(tmp_path / "style.safetensors", {f"lora_unet_x.hada_{role}": torch.zeros(1, 1) for role in roles})
    with pytest.raises(AssetRefused, match=complaint):
        inspect_lora(path)


def test_lokr_and_loha_in_one_layer_are_refused(tmp_path: Path) -> None:
    shapes = {f"hada_{role}": (1, 1) for role in pairs((), ())} | {"lokr_w1": (1, 1), "lokr_w2": (1, 1)}
    path = write(tmp_path / "style.safetensors", {f"lora_unet_x.{role}": torch.zeros(1, 1) for role in shapes})
    with pytest.raises(AssetRefused, match="mixes adapters: lora_unet_x holds hada_w1_a"):
        inspect_lora(path)


def test_a_layer_that_needs_absurd_memory_is_refused_unread(tmp_path: Path) -> None:
    rank = LARGEST_LAYER // 3
    shapes = {f"lora_unet_x.hada_{role}": own for role, own in pairs((1, rank), (rank, 1)).items()}
    with pytest.raises(AssetRefused, match="lora_unet_x needs"):
        inspect_lora(write_sparse(tmp_path / "style.safetensors", shapes))
