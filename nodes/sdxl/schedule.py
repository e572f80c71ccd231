"""Noise schedules: how much noise is left before each step.

A noise level is sigma, the noise's standard deviation beside a picture of weight 1 (Karras et al. 2022,
arXiv:2206.00364). Schedules give `steps + 1` falling levels, the last of them 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from diffusers import EulerDiscreteScheduler
from numpy.typing import NDArray

from nodes.samplers import ScheduleName

Floats = NDArray[np.floating[Any]]

_TRAINED = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
)


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """The levels of a run: `sigmas` [n + 1], falling to 0, and the UNet's `timesteps` [n] for all but the 0."""

    sigmas: Floats
    timesteps: Floats


def trained_options(scheduler_config: Mapping[str, object]) -> dict[str, Any]:
    """Return what a scheduler's config says of the training; the rest of it is advice on sampling, and not used."""
    return {name: scheduler_config[name] for name in _TRAINED if name in scheduler_config}


def trained_sigmas(scheduler_config: Mapping[str, object]) -> Floats:
    """Return the levels a UNet was trained on, rising, by timestep.

    With zero terminal SNR (Lin et al. 2023, arXiv:2305.08891) the last level is 4096 instead of infinity.
    """
    alphas = EulerDiscreteScheduler(**trained_options(scheduler_config)).alphas_cumprod
    return np.asarray((((1 - alphas) / alphas) ** 0.5).numpy())


def noise_levels(schedule: ScheduleName, steps: int, trained: Floats) -> NoiseLevels:
    """Return the levels of a schedule between the highest and the lowest of `trained`."""
    if schedule in ("normal", "sgm_uniform", "beta"):
        timesteps = beta(steps, len(trained)) if schedule == "beta" else _even_timesteps(schedule, steps, len(trained))
        return _closed(np.interp(timesteps, np.arange(len(trained)), trained), timesteps)
    lowest, highest = trained[0].item(), trained[-1].item()
    if schedule == "karras":
        sigmas = karras(steps, lowest, highest)
    elif schedule == "exponential":
        sigmas = exponential(steps, lowest, highest)
    elif schedule == "kl_optimal":
        sigmas = kl_optimal(steps, lowest, highest)
    else:
        sigmas = simple(steps, trained)
    return _closed(sigmas, timesteps_of(sigmas, trained))


def karras(steps: int, lowest: float, highest: float, rho: float = 7.0) -> Floats:
    """Return levels whose rho-th roots are evenly spaced (Karras et al. 2022, equation 5)."""
    ramp = np.linspace(0, 1, steps)
    low, high = lowest ** (1 / rho), highest ** (1 / rho)
    return np.asarray((high + ramp * (low - high)) ** rho)


def exponential(steps: int, lowest: float, highest: float) -> Floats:
    """Return levels whose logarithms are evenly spaced."""
    return np.asarray(np.exp(np.linspace(np.log(highest), np.log(lowest), steps)))


def kl_optimal(steps: int, lowest: float, highest: float) -> Floats:
    """Return levels whose arc tangents are evenly spaced (Sabour et al. 2024, arXiv:2404.14507, theorem 3.1)."""
    return np.asarray(np.tan(np.linspace(np.arctan(highest), np.arctan(lowest), steps)))


def simple(steps: int, trained: Floats) -> Floats:
    """Return every `len(trained) / steps`-th trained level from the top, as ComfyUI's schedule of that name."""
    stride = len(trained) / steps
    return trained[[-(1 + int(step * stride)) for step in range(steps)]]


def beta(steps: int, trained: int) -> Floats:
    """Return timesteps at the quantiles 1, 1 - 1/steps ... 1/steps of the distribution Beta(0.6, 0.6).

    Lee et al. 2024, arXiv:2407.12173, with the parameters of ComfyUI, which rounds to whole timesteps: from 139 steps
    on it thus draws fewer. A1111's schedule of that name spaces sigma itself so.
    """
    return (trained - 1) * beta_quantile(1 - np.arange(steps) / steps, shape=0.6)


def beta_quantile(share: Floats, shape: float, points: int = 20_001) -> Floats:
    """Return below which values those shares of the distribution Beta(shape, shape) are.

    The density of the lower half is integrated over `x**shape`, where it is smooth; the upper half mirrors it.
    """
    power = np.linspace(0, 0.5**shape, points)
    values = power ** (1 / shape)
    density = (1 - values) ** (shape - 1)
    below = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    below /= 2 * below[-1]
    shares = np.concatenate([below, 1 - below[::-1]])
    return np.asarray(np.interp(share, shares, np.concatenate([values, 1 - values[::-1]])))


def timesteps_of(sigmas: Floats, trained: Floats) -> Floats:
    """Return the fractional timesteps of levels, interpolated between the logarithms of the trained ones."""
    logs, wanted = np.log(trained), np.log(sigmas)
    below = np.clip(np.searchsorted(logs, wanted, side="right") - 1, 0, len(logs) - 2)
    low, high = logs[below], logs[below + 1]
    weight = np.clip((low - wanted) / (low - high), 0, 1)
    return np.asarray((1 - weight) * below + weight * (below + 1))


def _even_timesteps(schedule: ScheduleName, steps: int, trained: int) -> Floats:
    """Return timesteps from the last one: down to 0 (`normal`), or leaving 0 out (`sgm_uniform`)."""
    points = steps + 1 if schedule == "sgm_uniform" else steps
    if points == 1:
        return np.array([trained - 1], dtype=np.float32)
    return np.linspace(0, trained - 1, points, dtype=np.float32)[::-1][:steps].copy()


def _closed(sigmas: Floats, timesteps: Floats) -> NoiseLevels:
    return NoiseLevels(np.concatenate([sigmas, [0.0]]).astype(np.float32), timesteps)
