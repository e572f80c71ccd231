"""LoKr: the difference is the Kronecker product of w1 and w2, each of them whole or a product of two.

Yeh et al. 2023, https://arxiv.org/abs/2309.14859, as LyCORIS writes it: w1 is [out / o, in / i], w2 [o, i] and the
kernel; w2 may be flattened to [o, i * height * width], or have a core t2. Where both are whole, alpha means nothing.
"""

import torch

from nodes.sdxl.factors import Shape, Shapes, Tensors, matrix, product, rebuild_tucker, tucker


def fits(shapes: Shapes, weight: Shape) -> bool:
    """Tell whether the Kronecker product has the shape of a weight, and both factors have one rank."""
    first, second = _first(shapes), _second(shapes, weight[2:])
    if first is None or second is None or len(_ranks(shapes)) > 1:
        return False
    made = first[0] * second[0], first[1] * second[1]
    return made == matrix(weight, weight[2:]) and weight[1] % first[1] == 0


def rank(shapes: Shapes) -> int | None:
    """Return by what alpha is divided, or None where alpha does not count."""
    return next(iter(_ranks(shapes)), None)


def build(tensors: Tensors) -> torch.Tensor:
    """Return the difference as a matrix."""
    first = tensors["lokr_w1"] if "lokr_w1" in tensors else tensors["lokr_w1_a"] @ tensors["lokr_w1_b"]
    if "lokr_w2" in tensors:
        second = tensors["lokr_w2"]
    elif "lokr_t2" in tensors:
        second = rebuild_tucker(tensors["lokr_t2"], tensors["lokr_w2_a"], tensors["lokr_w2_b"])
    else:
        second = tensors["lokr_w2_a"] @ tensors["lokr_w2_b"].flatten(1)
    return torch.kron(first, second.flatten(1))


def _ranks(shapes: Shapes) -> set[int]:
    return {shapes[role][0] for role in ("lokr_w1_b", "lokr_w2_b") if role in shapes}


def _first(shapes: Shapes) -> tuple[int, int] | None:
    if "lokr_w1" in shapes:
        return matrix(shapes["lokr_w1"])
    return product(shapes["lokr_w1_a"], shapes["lokr_w1_b"])


def _second(shapes: Shapes, kernel: Shape) -> tuple[int, int] | None:
    if "lokr_w2" in shapes:
        return matrix(shapes["lokr_w2"], kernel)
    left, right = shapes["lokr_w2_a"], shapes["lokr_w2_b"]
    if "lokr_t2" in shapes:
        return tucker(shapes["lokr_t2"], left, right, kernel)
    return product(left, right, kernel)
