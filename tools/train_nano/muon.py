"""Muon: momentum, orthogonalised, for the matrices of a network."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import torch

COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
ROUNDS: Final = 5


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Return matrices [..., rows, columns] with all singular values moved close to 1, in float32.

    The quintic Newton-Schulz iteration of Keller Jordan's Muon (https://kellerjordan.github.io/posts/muon), in
    bfloat16 on a GPU; processors without that type would imitate it many times more slowly than they compute float32.
    """
    a, b, c = COEFFICIENTS
    scaled: torch.Tensor = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    scaled = scaled.to(torch.bfloat16 if scaled.is_cuda else torch.float32)
    tall = scaled.size(-2) > scaled.size(-1)
    if tall:
        scaled = scaled.mT
    for _ in range(ROUNDS):
        square = scaled @ scaled.mT
        scaled = a * scaled + (b * square + c * square @ square) @ scaled
    return (scaled.mT if tall else scaled).float()


class Muon(torch.optim.Optimizer):
    """Steps of orthogonalised momentum, scaled to the size of AdamW's; kernels count as [out, in * height * width].

    The scale, 0.2 * sqrt(longest side), is that of Moonlight (https://arxiv.org/abs/2502.16982).
    """

    def __init__(
        self, parameters: Iterable[torch.nn.Parameter], rate: float, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(list(parameters), {"lr": rate, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; those of one shape are orthogonalised together."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[torch.nn.Parameter, torch.Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    matrix = self._momentum(parameter, group["momentum"]).reshape(parameter.shape[0], -1)
                    by_shape.setdefault(matrix.shape, []).append((parameter, matrix))
            for shape, members in by_shape.items():
                _move(members, orthogonalise(torch.stack([matrix for _, matrix in members])), shape, group)

    def _momentum(self, parameter: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        """Return Nesterov momentum."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(state["momentum"], momentum)


def _move(
    members: list[tuple[torch.nn.Parameter, torch.Tensor]],
    directions: torch.Tensor,
    shape: torch.Size,
    group: dict[str, Any],
) -> None:
    length = 0.2 * max(shape) ** 0.5
    for (parameter, _), direction in zip(members, directions, strict=True):
        parameter.mul_(1 - group["lr"] * group["decay"])
        parameter.add_(direction.reshape(parameter.shape).to(parameter.dtype), alpha=-group["lr"] * length)
