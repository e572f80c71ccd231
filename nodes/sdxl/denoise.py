"""The denoise loop: from noise, or a noisy picture, to latents."""

from collections.abc import Callable
from typing import Protocol

from nodes.sdxl.model import LiveModel
from nodes.sdxl.request import DenoiseRequest, MicroConditioning, seeds_from, steps_to_run
from nodes.values import Latents

__all__ = ["DenoiseRequest", "MicroConditioning", "Watch", "denoise", "seeds_from", "steps_to_run"]


class Watch(Protocol):
    """Who follows the loop; a node's context is one."""

    def progress(self, step: int, total: int, *, preview: Callable[[], bytes] | None = None) -> None:
        """Take note of `step` of `total`; may raise Cancelled."""
        ...

    def check(self) -> None:
        """Raise Cancelled if the loop should stop."""
        ...


def denoise(live: LiveModel, request: DenoiseRequest, watch: Watch) -> Latents:
    """Draw the latents of a request, one micro-batch after the other.

    Returns `samples` F32 [pictures, 4, height/8, width/8] with the request's seeds.
    Raises NovaError where latents stop being numbers, and whatever `watch` raises, between two steps.
    """
    raise NotImplementedError
