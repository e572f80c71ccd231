"""DPM-Solver++ with noise, as in k-diffusion, where diffusers has none that works without further packages.

Lu et al. 2022, arXiv:2211.01095; the samplers are Katherine Crowson's (k-diffusion, sampling.py, MIT, with its
defaults eta = 1 and r = 1/2). Each draws its noise from the pictures' own generators, a fresh Gaussian for every call,
where k-diffusion's Brownian tree makes other draws of the same distribution.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from diffusers.utils.torch_utils import randn_tensor

from nodes.sdxl.prediction import expected_picture

Draw = Callable[[], torch.Tensor]
"""Draws fresh noise of the latents' shape."""


class NoisySolver:
    """The way down the levels that it is given, one call of the UNet at a time; Course uses it like diffusers' own.

    `sigmas` [calls + 1] are the levels at which the UNet is asked, and the 0 at the end; `timesteps` [calls] belong to
    them. It keeps state, so use it for one run only.
    """

    timesteps: torch.Tensor
    sigmas: torch.Tensor

    def __init__(self, prediction_type: str = "epsilon") -> None:
        self._prediction = prediction_type
        self._call = 0

    @property
    def init_noise_sigma(self) -> float:
        """The level that a run from nothing begins at."""
        return self._level(0)

    def set_begin_index(self, begin_index: int) -> None:
        """Begin with a later call."""
        self._call = begin_index

    def scale_model_input(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """Return latents with unit variance."""
        return sample / math.hypot(self._level(self._call), 1)

    def add_noise(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Return a picture as noisy as it is before the next call."""
        return latents + noise * self._level(self._call)

    def step(
        self,
        output: torch.Tensor,
        timestep: torch.Tensor,
        latents: torch.Tensor,
        *,
        generator: list[torch.Generator],
        return_dict: bool,
    ) -> tuple[torch.Tensor]:
        """Return the latents after a call that `output` answers."""
        picture = expected_picture(output, latents, self._level(self._call), self._prediction)
        draw = partial(randn_tensor, latents.shape, generator=generator, device=latents.device, dtype=latents.dtype)
        moved = picture if self._level(self._call + 1) == 0 else self._moved(latents, picture, draw)
        self._call += 1
        return (moved,)

    def _level(self, call: int) -> float:
        return float(self.sigmas[call])

    def _moved(self, latents: torch.Tensor, picture: torch.Tensor, draw: Draw) -> torch.Tensor:
        """Return the latents after a call that is not the last, at which the UNet expects `picture`."""
        raise NotImplementedError


class Dpmpp2sAncestral(NoisySolver):
    """DPM-Solver++(2S) with ancestral noise: the second call is where the step ends.

    That is halfway, in the logarithm, from the step's first level to the one that its noise is added to.
    """

    _start: torch.Tensor

    def _moved(self, latents: torch.Tensor, picture: torch.Tensor, draw: Draw) -> torch.Tensor:
        sigma, after = self._level(self._call), self._level(self._call + 1)
        if self._call % 2 == 0:
            self._start = latents
            return torch.lerp(picture, latents, after / sigma)
        before = self._level(self._call - 1)
        return _down(self._start, picture, before, after) + _added(before, after) * draw()


class DpmppSde(NoisySolver):
    """DPM-Solver++ for the stochastic equation: the second call is halfway down the step, in the logarithm.

    The noise of the first half is part of the whole step's.
    """

    _start: torch.Tensor
    _noise: torch.Tensor

    def _moved(self, latents: torch.Tensor, picture: torch.Tensor, draw: Draw) -> torch.Tensor:
        sigma, after = self._level(self._call), self._level(self._call + 1)
        noise = draw()
        if self._call % 2 == 0:
            self._start, self._noise = latents, noise
            return _down(latents, picture, sigma, after) + _added(sigma, after) * noise
        before = self._level(self._call - 1)
        share = (before - sigma) / (before - after)
        noise = math.sqrt(share) * self._noise + math.sqrt(1 - share) * noise
        return _down(self._start, picture, before, after) + _added(before, after) * noise


class Dpmpp3mSde(NoisySolver):
    """DPM-Solver++(3M) for the stochastic equation: extrapolates from the expected pictures of three calls.

    The last term is half of what Taylor's series would have, in k-diffusion as in the authors' own DPM-Solver++(3M).
    """

    _earlier: tuple[tuple[torch.Tensor, float], ...] = ()

    def _moved(self, latents: torch.Tensor, picture: torch.Tensor, draw: Draw) -> torch.Tensor:
        sigma, after = self._level(self._call), self._level(self._call + 1)
        moved = _down(latents, picture, sigma, after) + _added(sigma, after) * draw()
        length = math.log(sigma / after)
        first = 1 + math.expm1(-2 * length) / (2 * length)
        second = first / (2 * length) - 0.5
        if self._earlier:
            one, length_1 = self._earlier[0]
            slope = (picture - one) / length_1
            if len(self._earlier) > 1:
                two, length_2 = self._earlier[1]
                bend = (slope - (one - two) / length_2) / (length_1 + length_2)
                slope = slope + length_1 * bend
                moved = moved - second * length**2 * bend
            moved = moved + first * length * slope
        self._earlier = ((picture, length), *self._earlier[:1])
        return moved


def _down(latents: torch.Tensor, picture: torch.Tensor, sigma: float, after: float) -> torch.Tensor:
    """Return the mean of the latents one step down the stochastic equation, for an expected picture that stays."""
    return torch.lerp(picture, latents, (after / sigma) ** 2)


def _added(sigma: float, after: float) -> float:
    """Return how much noise such a step adds."""
    return after * math.sqrt(1 - (after / sigma) ** 2)
