"""One run of a sampler: which timesteps the UNet is asked for, and the way from each to the next."""

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from engine.errors import NovaError
from nodes.samplers import SamplerName, ScheduleName
from nodes.sdxl.prediction import expected_picture
from nodes.sdxl.schedule import noise_levels, trained_sigmas
from nodes.sdxl.solver import asked_levels, placed_scheduler, solver_of


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the UNet: its timestep (a 0-d tensor), the noise level there, and the step it is for, from 1."""

    timestep: torch.Tensor
    sigma: float
    step: int


class Course:
    """The calls of one run, and the scheduler that moves latents along them; made anew for every run.

    Latents are F32 [batch, 4, height/8, width/8] throughout; only the UNet works in a shorter dtype.
    """

    def __init__(
        self,
        sampler: SamplerName,
        schedule: ScheduleName,
        steps: int,
        part: range,
        scheduler_config: Mapping[str, object],
        device: torch.device | str,
    ) -> None:
        """Prepare a part of `steps` steps, from 0 on; raises NovaError for a model that predicts something unknown."""
        self.prediction = str(scheduler_config.get("prediction_type", "epsilon"))
        if self.prediction not in ("epsilon", "v_prediction"):
            raise NovaError(f"the model predicts {self.prediction!r}; samplers know epsilon and v_prediction")
        solver = solver_of(sampler)
        trained = trained_sigmas(scheduler_config)
        levels = asked_levels(solver, noise_levels(schedule, steps, trained), trained)
        begin, end = part.start * solver.order, min(part.stop * solver.order, len(levels.timesteps))
        self._is_whole = part.stop == steps
        self._scaled = solver.scaled
        self._scheduler = placed_scheduler(solver, levels, scheduler_config, device)
        self._scheduler.set_begin_index(begin)
        self._noisy = "generator" in inspect.signature(self._scheduler.step).parameters
        self._timesteps: torch.Tensor = self._scheduler.timesteps[begin:]
        sigmas = levels.sigmas[begin : end + 1].tolist()
        self._sigmas = sigmas[0], sigmas[-1]
        self.calls = tuple(
            Call(timestep, sigma, index // solver.order + 1)
            for index, (timestep, sigma) in enumerate(zip(self._timesteps[: end - begin], sigmas[:-1], strict=True))
        )
        self._drawn_before = part.start * solver.draws

    def ends_step(self, number: int) -> bool:
        """Tell whether a call is the last one of its step."""
        return number + 1 == len(self.calls) or self.calls[number + 1].step != self.calls[number].step

    def pure(self, noise: torch.Tensor) -> torch.Tensor:
        """Return where a run from nothing begins: noise at the first level."""
        first: torch.Tensor = noise * self._scheduler.init_noise_sigma
        return first

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, call: int) -> torch.Tensor:
        """Return a picture with the noise that belongs before a call, none after the last of the whole course.

        Before the first step that is the level of the run's beginning, afterwards the one the scheduler has reached.
        """
        if self._is_whole and call == len(self.calls):
            return latents
        noisy: torch.Tensor = self._scheduler.add_noise(latents, noise, self._timesteps[call : call + 1])
        return noisy

    def taken_up(self, latents: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
        """Return latents that another course left with their noise, as this one has them where it begins.

        The noise that its sampler would have drawn until there is drawn and left out.
        """
        if self._noisy:
            for _ in range(self._drawn_before):
                for generator in generators:
                    torch.randn(1, *latents.shape[1:], generator=generator)
        return latents / math.hypot(self._sigmas[0], 1) if self._scaled else latents

    def left(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the latents where the course ends as any sampler can take them up: their variance grows with noise."""
        if self._is_whole or not self._scaled:
            return latents
        return latents * math.hypot(self._sigmas[1], 1)

    def scaled(self, latents: torch.Tensor, call: Call) -> torch.Tensor:
        """Return latents as the UNet wants them, with unit variance."""
        unit: torch.Tensor = self._scheduler.scale_model_input(latents, call.timestep)
        return unit

    def advance(
        self, output: torch.Tensor, call: Call, latents: torch.Tensor, generators: list[torch.Generator]
    ) -> torch.Tensor:
        """Return the latents after a call; samplers that add noise draw it from the picture's own generator."""
        noise = {"generator": generators} if self._noisy else {}
        step: tuple[torch.Tensor, ...] = self._scheduler.step(
            output, call.timestep, latents, return_dict=False, **noise
        )
        return step[0]

    def expected(self, output: torch.Tensor, call: Call, latents: torch.Tensor) -> torch.Tensor:
        """Return the finished picture that the UNet expects at a call."""
        noisy = latents * math.hypot(call.sigma, 1) if self._scaled else latents
        return expected_picture(output, noisy, call.sigma, self.prediction)
