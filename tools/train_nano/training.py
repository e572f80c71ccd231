"""The loop that every network here is trained with: two optimisers, one schedule, an average, checkpoints."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from tools.train_nano.checkpoint import State, load_state, save_state
from tools.train_nano.config import Budget, Rates
from tools.train_nano.muon import Muon

LEAST_RATE: Final = 0.02
LONGEST_GRADIENT: Final = 1.0
Batch = dict[str, Tensor]


class Watcher(Protocol):
    """Hears how far a stage has come."""

    def __call__(self, stage: str, progress: float, figures: Mapping[str, float]) -> None:
        """Tell the share of the budget that is used, and the newest figures."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where training stands: `progress` runs from 0 to 1; `lot` is the step's own random generator, on the device."""

    step: int
    progress: float
    lot: torch.Generator


Loss = Callable[[Batch, Moment], tuple[Tensor, dict[str, Tensor]]]
"""What to minimise, and figures to report."""


@dataclass
class Training:
    """A training run that continues where its checkpoint stands; every step draws its own random numbers.

    So the state is the same whether a run was cut or not, as long as its budget counts steps. `slower` names networks
    that learn at a part of the rates from a part of the budget on: {name: (from, share)}.
    """

    name: str
    networks: Mapping[str, nn.Module]
    budget: Budget
    rates: Rates
    seed: int
    device: torch.device
    path: Path
    save_every: float
    average: float = 0.995
    slower: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    adam_only: tuple[str, ...] = ("conv_in", "conv_out", "quant_conv", "token_embedding", "position_embedding")

    def __post_init__(self) -> None:
        self.step = 0
        self.seconds = 0.0
        self.figures: dict[str, float] = {}
        named = [
            (name, f"{name}.{leaf}", parameter)
            for name, network in self.networks.items()
            for leaf, parameter in network.named_parameters()
            if parameter.requires_grad
        ]
        self.parameters = {label: parameter for _, label, parameter in named}
        self.averages = {label: parameter.detach().clone() for label, parameter in self.parameters.items()}
        self.optimisers: list[torch.optim.Optimizer] = []
        matrices: dict[str, list[nn.Parameter]] = {}
        others: dict[str, list[nn.Parameter]] = {}
        for name, label, parameter in named:
            groups = matrices if self._is_matrix(label, parameter) else others
            groups.setdefault(name, []).append(parameter)
        for kind, groups, rate in ((Muon, matrices, self.rates.muon), (torch.optim.AdamW, others, self.rates.adam)):
            for name, members in groups.items():
                optimiser = Muon(members, rate) if kind is Muon else _adam(members, rate)
                for group in optimiser.param_groups:
                    group["network"], group["full_rate"] = name, rate
                self.optimisers.append(optimiser)
        if self.path.exists():
            self.restore(load_state(self.path, self.device))

    @property
    def progress(self) -> float:
        """The share of the budget that is used, 0..1."""
        by_clock = self.seconds / (60 * self.budget.minutes) if self.budget.minutes else 0.0
        return min(1.0, max(self.step / max(1, self.budget.steps), by_clock))

    def run(self, batches: Dataset[Batch], loss: Loss, watch: Watcher, workers: int = 0) -> None:
        """Train until the budget is used up, then put the averaged weights in place; saves now and then."""
        saved = clock = time.monotonic()
        if self.progress < 1:
            for batch in self._load(batches, workers):
                self._advance(batch, loss)
                self._synchronise()
                now = time.monotonic()
                self.seconds, clock = self.seconds + now - clock, now
                watch(self.name, self.progress, self.figures)
                if now - saved > self.save_every:
                    save_state(self.path, self.state())
                    saved = now
                if self.progress >= 1:
                    break
        save_state(self.path, self.state())
        with torch.no_grad():
            for label, parameter in self.parameters.items():
                parameter.copy_(self.averages[label])
        for network in self.networks.values():
            network.eval()

    def state(self) -> State:
        """Return all that is needed to continue."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "figures": self.figures,
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "averages": self.averages,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self.step, self.seconds, self.figures = state["step"], state["seconds"], dict(state["figures"])
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        self.averages = dict(state["averages"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)

    def _is_matrix(self, label: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim >= 2 and not any(part in label for part in self.adam_only)

    def _load(self, batches: Dataset[Batch], workers: int) -> Iterable[Batch]:
        steps = range(self.step, self.budget.steps)
        context = "spawn" if workers else None
        return DataLoader(batches, batch_size=None, sampler=steps, num_workers=workers, multiprocessing_context=context)

    def _synchronise(self) -> None:
        """Wait for the device now and then, so that the clock tells the truth."""
        if self.device.type == "cuda" and self.step % 50 == 0:
            torch.cuda.synchronize()

    def _advance(self, batch: Batch, loss: Loss) -> None:
        progress = self.progress
        lot = torch.Generator(self.device).manual_seed(self.seed * 1_000_003 + self.step)
        on_device = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        self._set_rates(progress)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            total, figures = loss(on_device, Moment(self.step, progress, lot))
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters.values(), LONGEST_GRADIENT)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        keep = min(self.average, (self.step + 1) / (self.step + 20))
        current = [parameter.detach() for parameter in self.parameters.values()]
        torch._foreach_lerp_(list(self.averages.values()), current, 1 - keep)
        if self.step % 20 == 0 or self.progress >= 1:
            self.figures = {name: float(figure.detach()) for name, figure in figures.items()}

    def _set_rates(self, progress: float) -> None:
        """Warm up, then fall along half a cosine."""
        warm = min(1.0, (self.step + 1) / max(1, self.rates.warm_up))
        fall = LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * progress))
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                start, share = self.slower.get(group["network"], (0.0, 1.0))
                group["lr"] = group["full_rate"] * warm * fall * (share if progress >= start else 0.0)


def _adam(parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.99), weight_decay=0.0)
