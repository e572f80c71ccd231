"""The samplers of DPM-Solver++ with noise, against exact solutions and against k-diffusion's formulas."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from nodes.samplers import SamplerName, ScheduleName
from nodes.sdxl.course import Course
from tests.tiny import scheduler

CONFIG = dict(scheduler().config)
SHAPE = (1, 4, 4, 4)
SEED = 7

Denoiser = Callable[[torch.Tensor, float], torch.Tensor]
"""The picture that a UNet expects in latents of a noise level."""


def course(sampler: SamplerName, schedule: ScheduleName, steps: int) -> Course:
    return Course(sampler, schedule, steps, range(steps), CONFIG, "cpu")


def walk(way: Course, start: torch.Tensor, denoiser: Denoiser, calls: int) -> torch.Tensor:
    """Return the latents after some calls of a course, in float64."""
    latents, generators = start.double(), [torch.Generator().manual_seed(SEED)]
    for call in way.calls[:calls]:
        output = (latents - denoiser(latents, call.sigma)) / call.sigma
        latents = way.advance(output, call, latents, generators)
    return latents


def without_noise(sampler: SamplerName, steps: int, denoiser: Denoiser, calls: int) -> float:
    """Return what becomes of latents of 1 but for the noise, for a denoiser that scales its latents."""
    one, nothing = (
        walk(course(sampler, "exponential", steps), torch.full(SHAPE, start), denoiser, calls) for start in (1.0, 0.0)
    )
    return (one - nothing).mean().item()


def gaussian(variance: float) -> Denoiser:
    return lambda latents, sigma: latents * (variance / (variance + sigma**2))


def error_of_halving(sampler: SamplerName, steps: int) -> float:
    """Return the relative error for a UNet that expects half of its latents: the exact mean falls as sigma does."""
    calls = course(sampler, "exponential", steps).calls
    exact = calls[-1].sigma / calls[0].sigma
    return abs(without_noise(sampler, steps, lambda latents, sigma: latents / 2, len(calls) - 1) / exact - 1)


@pytest.mark.parametrize("sampler", ["dpmpp_sde", "dpmpp_3m_sde"])
def test_the_mean_converges_with_second_order_at_least(sampler: SamplerName) -> None:
    errors = [error_of_halving(sampler, steps) for steps in (20, 40, 80)]
    assert errors[-1] < 0.01
    for few, many in pairwise(errors):
        assert math.log2(few / many) > 1.95


def test_three_calls_know_more_than_two() -> None:
    assert error_of_halving("dpmpp_3m_sde", 40) < 0.2 * error_of_halving("dpmpp_sde", 40)


@pytest.mark.parametrize("sampler", ["dpmpp_sde", "dpmpp_3m_sde"])
def test_the_mean_is_exact_for_gaussian_pictures(sampler: SamplerName) -> None:
    """The picture expected in Gaussian latents is, on average, the same at every level."""
    calls = course(sampler, "exponential", 5).calls
    end = without_noise(sampler, 5, gaussian(0.64), len(calls))
    assert end == pytest.approx(0.64 / (0.64 + calls[0].sigma ** 2), rel=1e-6)


def test_a_step_without_its_ancestral_noise_is_of_second_order() -> None:
    """Such a step solves the equation down to sigma_down, with an error of the step's cube."""
    errors = []
    for steps in (50, 100):
        first, after, *_ = (call.sigma for call in course("dpmpp_2s_ancestral", "exponential", steps).calls)
        ours = without_noise("dpmpp_2s_ancestral", steps, gaussian(50), 2)
        down = after**2 / first
        errors.append(abs(ours - math.sqrt((50 + down**2) / (50 + first**2))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(3, abs=0.2)


def soft(latents: torch.Tensor, sigma: float) -> torch.Tensor:
    """Answer with a picture that is no linear function of the latents, nor of the level."""
    return torch.tanh(latents) / (1 + sigma)


def ancestral(sigma: float, after: float) -> tuple[float, float]:
    up = min(after, math.sqrt(after**2 * (sigma**2 - after**2) / sigma**2))
    return math.sqrt(after**2 - up**2), up


def written_2s(latents: torch.Tensor, sigma: float, after: float, draw: Callable[[], torch.Tensor]) -> torch.Tensor:
    down, up = ancestral(sigma, after)
    now, then = -math.log(sigma), -math.log(down)
    middle = math.exp(-(now + then) / 2)
    half = (middle / sigma) * latents - math.expm1(-(then - now) / 2) * soft(latents, sigma)
    return (down / sigma) * latents - math.expm1(now - then) * soft(half, middle) + draw() * up


def written_sde(latents: torch.Tensor, sigma: float, after: float, draw: Callable[[], torch.Tensor]) -> torch.Tensor:
    middle = math.exp((math.log(sigma) + math.log(after)) / 2)
    # A Brownian path over the levels: its way to the middle, and on from there.
    there, on = draw() * math.sqrt(sigma - middle), draw() * math.sqrt(middle - after)
    down, up = ancestral(sigma, middle)
    half = (down / sigma) * latents - math.expm1(math.log(down / sigma)) * soft(latents, sigma)
    half = half + up * there / math.sqrt(sigma - middle)
    down, up = ancestral(sigma, after)
    latents = (down / sigma) * latents - math.expm1(math.log(down / sigma)) * soft(half, middle)
    return latents + up * (there + on) / math.sqrt(sigma - after)


def written_3m(sigmas: list[float], latents: torch.Tensor, draw: Callable[[], torch.Tensor]) -> torch.Tensor:
    pictures: list[torch.Tensor] = []
    lengths: list[float] = []
    for sigma, after in pairwise(sigmas):
        pictures.append(soft(latents, sigma))
        lengths.append(math.log(sigma / after))
        eta = 2 * lengths[-1]
        latents = math.exp(-eta) * latents - math.expm1(-eta) * pictures[-1]
        phi_2 = math.expm1(-eta) / eta + 1
        phi_3 = phi_2 / eta - 0.5
        if len(pictures) == 2:
            latents = latents + phi_2 * (pictures[-1] - pictures[-2]) / (lengths[-2] / lengths[-1])
        if len(pictures) > 2:
            r0, r1 = lengths[-2] / lengths[-1], lengths[-3] / lengths[-1]
            near, far = (pictures[-1] - pictures[-2]) / r0, (pictures[-2] - pictures[-3]) / r1
            slope, bend = near + (near - far) * r0 / (r0 + r1), (near - far) / (r0 + r1)
            latents = latents + phi_2 * slope - phi_3 * bend
        latents = latents + draw() * after * math.sqrt(-math.expm1(-eta))
    return latents


@pytest.mark.parametrize("sampler", ["dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_3m_sde"])
def test_steps_follow_k_diffusion(sampler: SamplerName) -> None:
    """Written out from sample_dpmpp_2s_ancestral, sample_dpmpp_sde and sample_dpmpp_3m_sde."""
    way = course(sampler, "karras", 6)
    start = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)) * way.calls[0].sigma
    generator = torch.Generator().manual_seed(SEED)

    def draw() -> torch.Tensor:
        return torch.randn(SHAPE, generator=generator, dtype=torch.float64)

    sigmas = list({call.step: call.sigma for call in reversed(way.calls)}.values())[::-1]
    wanted = start.double()
    if sampler == "dpmpp_3m_sde":
        wanted = written_3m(sigmas, wanted, draw)
    else:
        for sigma, after in pairwise(sigmas):
            step = written_2s if sampler == "dpmpp_2s_ancestral" else written_sde
            wanted = step(wanted, sigma, after, draw)
    torch.testing.assert_close(walk(way, start, soft, len(way.calls)), soft(wanted, sigmas[-1]), atol=1e-6, rtol=1e-6)
    assert way.calls[-1].sigma == sigmas[-1]
