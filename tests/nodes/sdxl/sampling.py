"""What the sampling tests share: a conditioning, a request, and somebody who watches."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from nodes.sdxl.arrays import from_tensor, to_tensor
from nodes.sdxl.denoise import DenoiseRequest, denoise
from nodes.sdxl.model import LiveModel
from nodes.values import Conditioning, Latents, Mask, Prompted

SIZE = (64, 64)


@dataclass
class Watcher:
    """Notes every step and preview; calls `act` with the step's number."""

    act: Callable[[int], None] = lambda step: None
    looks: bool = False
    steps: list[tuple[int, int]] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list)
    rooms: int = 0

    def progress(self, step: int, total: int, *, preview: Callable[[], bytes] | None = None) -> None:
        """Note a step."""
        self.steps.append((step, total))
        if self.looks and preview is not None:
            self.previews.append(preview())
        self.act(step)

    def check(self) -> None:
        """Go on."""

    def make_room(self) -> None:
        """Note that room was made."""
        self.rooms += 1


def conditioning(seed: int = 0) -> Conditioning:
    """Return random encoded texts of the tiny model's widths."""
    generator = torch.Generator().manual_seed(1000 + seed)

    def prompted() -> Prompted:
        embeds = torch.randn(1, 77, 48, generator=generator)
        return Prompted(from_tensor(embeds), from_tensor(torch.randn(1, 32, generator=generator)))

    return Conditioning(prompted(), prompted())


def request(**changes: object) -> DenoiseRequest:
    """Return a small request with some fields changed."""
    fields: dict[str, object] = {
        "conditioning": conditioning(),
        "seeds": (7,),
        "size": SIZE,
        "steps": 4,
        "cfg": 5.0,
    }
    return DenoiseRequest(**{**fields, **changes})  # type: ignore[arg-type]


def drawn(live: LiveModel, **changes: object) -> torch.Tensor:
    """Return the latents of a small request."""
    return to_tensor(denoise(live, request(**changes), Watcher()).samples)


def picture(batch: int = 1, size: tuple[int, int] = SIZE) -> Latents:
    """Return latents to start from."""
    width, height = size
    generator = torch.Generator().manual_seed(99)
    return Latents(from_tensor(torch.randn(batch, 4, height // 8, width // 8, generator=generator)))


def left_half(size: tuple[int, int] = SIZE) -> Mask:
    """Return a mask that repaints the left half."""
    width, height = size
    weight = torch.zeros(1, height, width, dtype=torch.uint8)
    weight[:, :, : width // 2] = 255
    return Mask(from_tensor(weight))
