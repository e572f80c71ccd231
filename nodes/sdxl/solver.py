"""Samplers as diffusers' schedulers, each with the noise levels it was asked for.

Their own schedule options are not used: some ignore them silently (Euler ancestral), some spread their steps
differently from the others. The levels are computed once, by formula, and assigned.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)

from nodes.samplers import SamplerName
from nodes.sdxl.schedule import NoiseLevels, trained_options


@dataclass(frozen=True, slots=True)
class Solver:
    """How a sampler is made from a scheduler of diffusers.

    `whole` rounds timesteps to the trained ones. `order` is how many times a step asks the UNet. `scaled` says that
    latents keep unit variance instead of growing with the noise. `last` replaces the final level 0, and `lowest` any
    timestep below it.
    """

    scheduler: type[Any]
    options: tuple[tuple[str, object], ...] = ()
    whole: bool = False
    order: int = 1
    scaled: bool = False
    last: float = 0.0
    lowest: int = 0


def solver_of(sampler: SamplerName) -> Solver:
    """Return the solver behind a sampler's name."""
    if sampler in ("euler", "ddim"):  # DDIM without added noise is Euler's method on the same equation.
        return Solver(EulerDiscreteScheduler)
    if sampler == "euler_ancestral":
        return Solver(EulerAncestralDiscreteScheduler)
    if sampler == "heun":
        return Solver(HeunDiscreteScheduler, order=2)
    if sampler == "lcm":
        # At timestep 0 it takes latents for a picture without noise: they would keep what the last step is to take out.
        return Solver(LCMScheduler, whole=True, scaled=True, lowest=1)
    if sampler in ("uni_pc", "uni_pc_bh2"):
        form = "bh1" if sampler == "uni_pc" else "bh2"
        options = (("solver_order", 3), ("solver_type", form))
        return Solver(UniPCMultistepScheduler, options, whole=True, scaled=True, last=0.001)
    algorithm = "sde-dpmsolver++" if sampler == "dpmpp_2m_sde" else "dpmsolver++"
    return Solver(DPMSolverMultistepScheduler, (("algorithm_type", algorithm),), whole=True, scaled=True)


def placed_scheduler(
    solver: Solver, levels: NoiseLevels, scheduler_config: Mapping[str, object], device: torch.device | str
) -> Any:
    """Return a new scheduler that will walk down exactly these levels; it keeps state, so use it for one run only."""
    options = {**trained_options(scheduler_config), "timestep_spacing": "linspace", **dict(solver.options)}
    known = inspect.signature(solver.scheduler.__init__).parameters
    scheduler = solver.scheduler(**{name: value for name, value in options.items() if name in known})
    timesteps = np.rint(levels.timesteps).astype(np.int64) if solver.whole else levels.timesteps.astype(np.float32)
    timesteps = np.maximum(timesteps, solver.lowest)
    sigmas = levels.sigmas.copy()
    sigmas[-1] = solver.last
    scheduler.num_inference_steps = levels.steps
    scheduler.timesteps = torch.from_numpy(per_call(timesteps, solver.order)).to(device)
    scheduler.sigmas = torch.from_numpy(np.append(per_call(sigmas[:-1], solver.order), sigmas[-1:]))
    return scheduler


def per_call(values: np.ndarray[Any, Any], order: int) -> np.ndarray[Any, Any]:
    """Return one value per call of the UNet: the first once, the others `order` times.

    A step of second order asks again where it ends, which is where the next one begins.
    """
    return np.concatenate([values[:1], np.repeat(values[1:], order)])
