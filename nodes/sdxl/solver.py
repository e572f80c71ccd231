"""Samplers as schedulers, diffusers' and our own, each with the noise levels it was asked for.

diffusers' own schedule options are not used: some ignore them silently (Euler ancestral), some spread their steps
differently from the others. The levels are computed once, by formula, and assigned.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
from nodes.sdxl.dpmpp import Dpmpp2sAncestral, Dpmpp3mSde, DpmppSde
from nodes.sdxl.schedule import Floats, NoiseLevels, timesteps_of, trained_options


@dataclass(frozen=True, slots=True)
class Solver:
    """How a sampler is made from a scheduler.

    `whole` rounds timesteps to the trained ones. `order` is how many times a step asks the UNet, the second time where
    it ends, or `halfway` down. `scaled` says that latents keep unit variance instead of growing with the noise. `last`
    replaces the final level 0, and `lowest` any timestep below it.
    """

    scheduler: type[Any]
    options: tuple[tuple[str, object], ...] = ()
    whole: bool = False
    order: Literal[1, 2] = 1
    halfway: bool = False
    draws: int = 1
    scaled: bool = False
    last: float = 0.0
    lowest: int = 0


def _multistep(algorithm: str) -> Solver:
    return Solver(DPMSolverMultistepScheduler, (("algorithm_type", algorithm),), whole=True, scaled=True)


def _uni_pc(form: str) -> Solver:
    options = (("solver_order", 3), ("solver_type", form))
    return Solver(UniPCMultistepScheduler, options, whole=True, scaled=True, last=0.001)


_SOLVERS: Mapping[SamplerName, Solver] = {
    "euler": Solver(EulerDiscreteScheduler),
    "euler_ancestral": Solver(EulerAncestralDiscreteScheduler),
    "heun": Solver(HeunDiscreteScheduler, order=2),
    "dpmpp_2m": _multistep("dpmsolver++"),
    "dpmpp_2m_sde": _multistep("sde-dpmsolver++"),
    "dpmpp_3m_sde": Solver(Dpmpp3mSde),
    "dpmpp_sde": Solver(DpmppSde, order=2, halfway=True, draws=2),
    "dpmpp_2s_ancestral": Solver(Dpmpp2sAncestral, order=2),
    # DDIM without added noise is Euler's method on the same equation.
    "ddim": Solver(EulerDiscreteScheduler),
    "uni_pc": _uni_pc("bh1"),
    "uni_pc_bh2": _uni_pc("bh2"),
    # At timestep 0 it takes latents for a picture without noise: they would keep what the last step is to take out.
    "lcm": Solver(LCMScheduler, whole=True, scaled=True, lowest=1),
}


def solver_of(sampler: SamplerName) -> Solver:
    """Return the solver behind a sampler's name."""
    return _SOLVERS[sampler]


def asked_levels(solver: Solver, levels: NoiseLevels, trained: Floats) -> NoiseLevels:
    """Return the levels of each call of the UNet; the last step, which leaves no noise, asks once."""
    if solver.order == 1:
        return levels
    sigmas, second, timesteps = levels.sigmas[:-1], levels.sigmas[1:-1], levels.timesteps[1:]
    if solver.halfway:
        second = np.sqrt(sigmas[:-1] * sigmas[1:])
        timesteps = timesteps_of(second, trained)
    return NoiseLevels(np.append(_in_turn(sigmas, second), levels.sigmas[-1]), _in_turn(levels.timesteps, timesteps))


def _in_turn(first: Floats, second: Floats) -> Floats:
    calls = np.empty(len(first) + len(second), first.dtype)
    calls[::2], calls[1::2] = first, second
    return calls


def placed_scheduler(
    solver: Solver, asked: NoiseLevels, scheduler_config: Mapping[str, object], device: torch.device | str
) -> Any:
    """Return a new scheduler that will walk down exactly these levels, one for each call of the UNet.

    It keeps state, so use it for one run only.
    """
    options = {**trained_options(scheduler_config), "timestep_spacing": "linspace", **dict(solver.options)}
    known = inspect.signature(solver.scheduler.__init__).parameters
    scheduler = solver.scheduler(**{name: value for name, value in options.items() if name in known})
    timesteps = np.rint(asked.timesteps).astype(np.int64) if solver.whole else asked.timesteps.astype(np.float32)
    sigmas = asked.sigmas.copy()
    sigmas[-1] = solver.last
    scheduler.num_inference_steps = len(timesteps)
    scheduler.timesteps = torch.from_numpy(np.maximum(timesteps, solver.lowest)).to(device)
    scheduler.sigmas = torch.from_numpy(sigmas)
    return scheduler
