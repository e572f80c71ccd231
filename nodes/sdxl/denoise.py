"""The denoise loop: from noise, or a noisy picture, to latents."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch.nn.functional import interpolate

from engine.errors import NovaError
from nodes.sdxl.arrays import from_tensor, to_tensor
from nodes.sdxl.control import LiveControlNetwork, Steering, Turn
from nodes.sdxl.course import Call, Course
from nodes.sdxl.guide import Guide
from nodes.sdxl.model import LiveModel
from nodes.sdxl.pag import Perturbation, perturbed
from nodes.sdxl.preview import preview
from nodes.sdxl.request import DenoiseRequest, MicroConditioning, seeds_from
from nodes.sdxl.room import MakesRoom, with_room
from nodes.values import Latents

HALF = 0.5
"""The share of a latent pixel's weight from which it is repainted."""

__all__ = ["DenoiseRequest", "MicroConditioning", "Watch", "denoise", "seeds_from"]


class Watch(MakesRoom, Protocol):
    """Who follows the loop; a node's context is one."""

    def progress(self, step: int, total: int, *, preview: Callable[[], bytes] | None = None) -> None:
        """Take note of `step` of `total`; may raise Cancelled."""
        ...


def denoise(
    live: LiveModel, request: DenoiseRequest, watch: Watch, networks: Sequence[LiveControlNetwork] = ()
) -> Latents:
    """Draw the latents of a request, one micro-batch after the other; `networks` has one for each of its controls.

    Returns `samples` F32 [pictures, 4, height/8, width/8] with the request's seeds. A picture depends on its seed, not
    on its neighbours: bit for bit with `micro_batch` 1, up to rounding otherwise.
    Raises NovaError where latents stop being numbers, a network was made for another model or memory is short even
    without idle models, and whatever `watch` raises, between two steps.
    """
    with live.lock, torch.inference_mode(), _perturbed(live, request) as perturbation:
        steering = Steering(request.controls, networks, request.size, live.unet)
        loop = _Loop(live, request, watch, Guide(live.unet, request, perturbation, steering))
        pictures = range(len(request.seeds))
        size = request.micro_batch
        drawn = [loop.draw_with_room(pictures[first : first + size]) for first in pictures[::size]]
        return Latents(from_tensor(torch.cat(drawn)), request.seeds)


def _perturbed(live: LiveModel, request: DenoiseRequest) -> AbstractContextManager[Perturbation | None]:
    if request.guidance is None or request.guidance.scale == 0:
        return nullcontext()
    return perturbed(live.unet, request.guidance.layers)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The picture that a run starts from, the noise put over it, and where to repaint it if not everywhere.

    `mask` is 1 where to repaint, 0 where not; between, it is the share of the run, its end, in which to repaint (Levin
    and Fried 2023, arXiv:2306.00950).
    """

    latents: torch.Tensor
    noise: torch.Tensor
    mask: torch.Tensor | None

    def restored(self, drawn: torch.Tensor, course: Course, call: int, done: float) -> torch.Tensor:
        """Return drawn latents with what is kept put back, as noisy as before a call; `done` is the run's share."""
        if self.mask is None:
            return drawn
        mask = (self.mask > 1 - done).float()
        return (1 - mask) * course.noised(self.latents, self.noise, call) + mask * drawn


class _Loop:
    def __init__(self, live: LiveModel, request: DenoiseRequest, watch: Watch, guide: Guide) -> None:
        self._config = live.scheduler_config
        self._device = live.unet.device
        self._request = request
        self._watch = watch
        self._guide = guide
        self._steps = len(request.part)
        self._done = 0

    def draw_with_room(self, pictures: range) -> torch.Tensor:
        """Draw some pictures, from their beginning once more where the device has too little memory for them."""
        width, height = self._request.size
        many = "a picture" if len(pictures) == 1 else f"{len(pictures)} pictures at once"
        return with_room(lambda: self.draw(pictures), self._watch, f"drawing {many} of {width}x{height}")

    def draw(self, pictures: range) -> torch.Tensor:
        """Return the latents of some pictures of the batch, drawn at once."""
        request = self._request
        self._done = pictures.start * self._steps
        course = Course(request.sampler, request.schedule, request.steps, request.part, self._config, self._device)
        generators = [torch.Generator("cpu").manual_seed(request.seeds[picture]) for picture in pictures]
        noise = torch.cat([torch.randn(1, *request.latent_shape, generator=own) for own in generators])
        noise = noise.to(self._device)
        kept = self._kept(pictures, noise)
        latents = self._beginning(course, noise, kept, generators)
        finite = _Finite(self._steps)
        finite.look(latents, 0)
        for number, call in enumerate(course.calls):
            self._watch.check()
            unit = course.scaled(latents, call)
            turn = self._turn(pictures, call)
            output = self._guide.prediction(unit, call.timestep, turn)
            show = partial(_shown, course, output, call, latents)
            latents = course.advance(output, call, latents, generators)
            if kept is not None:
                latents = kept.restored(latents, course, number + 1, turn.end)
            finite.look(latents, call.step)
            if course.ends_step(number):
                self._tell(len(pictures), show)
        finite.finish()
        return course.left(latents)

    def _turn(self, pictures: range, call: Call) -> Turn:
        """Return where a call is in the run; a run in parts is one run."""
        whole, part = self._request.whole, self._request.part
        return Turn(pictures, part.start - whole.start + call.step, len(whole))

    def _beginning(
        self, course: Course, noise: torch.Tensor, kept: _Kept | None, generators: list[torch.Generator]
    ) -> torch.Tensor:
        """Return the latents before the first step: all noise where nothing of a picture is to shine through."""
        if kept is not None and self._request.start_step:
            return course.taken_up(kept.latents.expand(len(generators), -1, -1, -1), generators)
        if kept is None or (kept.mask is not None and self._request.denoise == 1):
            return course.pure(noise)
        return course.noised(kept.latents, noise, 0)

    def _kept(self, pictures: range, noise: torch.Tensor) -> _Kept | None:
        request = self._request
        if request.latents is None:
            return None
        latents = to_tensor(request.latents.samples, self._device, torch.float32)
        mask = None
        if request.mask is not None:
            weight = to_tensor(request.mask.weight, self._device)
            mask = _of(latent_shares(weight) if request.soft_mask else latent_mask(weight), pictures)
        return _Kept(_of(latents, pictures), noise, mask)

    def _tell(self, pictures: int, show: Callable[[], bytes]) -> None:
        """Report a step; the pictures of a micro-batch take it together."""
        self._done += pictures
        self._watch.progress(self._done, self._steps * len(self._request.seeds), preview=show)


class _Finite:
    """Checks that latents are numbers, each step while a GPU is at work on the next one, so that it never runs dry."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._last: tuple[_Answer, int] | None = None

    def look(self, latents: torch.Tensor, step: int) -> None:
        """Note the latents after a step, 0 being the beginning; raises NovaError about the one before."""
        answer = _Answer(torch.isfinite(latents).all())
        self.finish()
        self._last = (answer, step)

    def finish(self) -> None:
        """Raise NovaError if the latents last noted hold anything but numbers."""
        if self._last is None or self._last[0].get():
            return
        where = f"in step {self._last[1]} of {self._steps}" if self._last[1] else "before the first step"
        raise NovaError(
            f"the latents stopped being finite numbers {where}",
            hint="A half-precision model may overflow: lower cfg or the PAG scale, or use bfloat16 or float32.",
        )


class _Answer:
    """A truth value on its way from the device: asking for it waits for what comes before it, not for what follows."""

    def __init__(self, value: torch.Tensor) -> None:
        self._arrived: torch.cuda.Event | None = None
        self._value = value
        if value.is_cuda:
            # `bool(value)` would wait for all that is queued, the next step included.
            self._value = torch.empty((), dtype=torch.bool, pin_memory=True)
            self._value.copy_(value, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def get(self) -> bool:
        """Return the value once it is there."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return bool(self._value)


def latent_mask(weight: torch.Tensor) -> torch.Tensor:
    """Return a mask [batch, height, width] of 0 to 255 as [batch, 1, height/8, width/8] of 0 and 1.

    A latent pixel is repainted where at least half of its 8 x 8 pixels' weight is.
    """
    return (latent_shares(weight) >= HALF).float()


def latent_shares(weight: torch.Tensor) -> torch.Tensor:
    """Return a mask [batch, height, width] of 0 to 255 as [batch, 1, height/8, width/8] from 0 to 1: means."""
    height, width = weight.shape[1:]
    return interpolate(weight[:, None].float() / 255, size=(height // 8, width // 8), mode="area")


def _of(batch: torch.Tensor, pictures: range) -> torch.Tensor:
    """Return the rows of some pictures; a batch of one serves all."""
    return batch if len(batch) == 1 else batch[pictures.start : pictures.stop]


def _shown(course: Course, output: torch.Tensor, call: Call, latents: torch.Tensor) -> bytes:
    return preview(course.expected(output, call, latents)[0])
