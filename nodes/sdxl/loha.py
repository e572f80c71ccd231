"""LoHa: the difference is the elementwise product of two low-rank matrices, (w1_a @ w1_b) * (w2_a @ w2_b).

Hyeon-Woo et al. 2021 (FedPara), https://arxiv.org/abs/2108.06098, as LyCORIS writes it: Yeh et al. 2023,
https://arxiv.org/abs/2309.14859. For convolutions both may have a core, t1 and t2.
"""

import torch

from nodes.sdxl.factors import Shape, Shapes, Tensors, matrix, product, rebuild_tucker, tucker


def fits(shapes: Shapes, weight: Shape) -> bool:
    """Tell whether both matrices have the shape of a weight, and one rank."""
    made = {_made(shapes, number, weight[2:]) for number in (1, 2)}
    target = matrix(weight, weight[2:])
    return target is not None and made == {target} and shapes["hada_w1_b"][0] == shapes["hada_w2_b"][0]


def rank(shapes: Shapes) -> int:
    """Return by what alpha is divided."""
    return shapes["hada_w1_b"][0]


def build(tensors: Tensors) -> torch.Tensor:
    """Return the difference as a matrix."""
    return _build(tensors, 1).mul_(_build(tensors, 2))


def _made(shapes: Shapes, number: int, kernel: Shape) -> tuple[int, int] | None:
    left, right = shapes[f"hada_w{number}_a"], shapes[f"hada_w{number}_b"]
    core = shapes.get(f"hada_t{number}")
    return product(left, right, kernel) if core is None else tucker(core, left, right, kernel)


def _build(tensors: Tensors, number: int) -> torch.Tensor:
    left, right = tensors[f"hada_w{number}_a"], tensors[f"hada_w{number}_b"]
    core = tensors.get(f"hada_t{number}")
    return left @ right.flatten(1) if core is None else rebuild_tucker(core, left, right).flatten(1)
