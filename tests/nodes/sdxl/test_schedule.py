"""Every schedule follows its formula, and every sampler walks down the levels it was given."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.samplers import SamplerName, ScheduleName
from nodes.sdxl.course import Course
from nodes.sdxl.schedule import NoiseLevels, noise_levels, timesteps_of, trained_sigmas
from tests.tiny import scheduler

SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)
SCHEDULES: tuple[ScheduleName, ...] = get_args(ScheduleName)
NOISY: tuple[SamplerName, ...] = ("euler_ancestral", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpmpp_sde", "dpmpp_2s_ancestral")
DETERMINISTIC = [sampler for sampler in SAMPLERS if sampler not in (*NOISY, "lcm")]

CONFIG = dict(scheduler().config)
TRAINED = trained_sigmas(CONFIG)
LOWEST, HIGHEST = 0.0291675, 14.6146


def levels(schedule: ScheduleName, steps: int) -> NoiseLevels:
    return noise_levels(schedule, steps, TRAINED)


def course(sampler: SamplerName, schedule: ScheduleName, steps: int, **config: object) -> Course:
    return Course(sampler, schedule, steps, range(steps), {**CONFIG, **config}, "cpu")


def test_sdxl_was_trained_between_these_levels() -> None:
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)
    np.testing.assert_allclose(TRAINED, np.sqrt((1 - kept) / kept), rtol=1e-4)
    assert TRAINED[0] == pytest.approx(LOWEST, rel=1e-4)
    assert TRAINED[-1] == pytest.approx(HIGHEST, rel=1e-4)


def test_zero_terminal_snr_starts_from_pure_noise() -> None:
    trained = trained_sigmas({**CONFIG, "rescale_betas_zero_snr": True})
    assert trained[-1] == pytest.approx(4096, rel=1e-3)
    for schedule in SCHEDULES:
        assert noise_levels(schedule, 20, trained).sigmas[0] == pytest.approx(4096, rel=1e-3)


@given(steps=st.integers(1, 150), schedule=st.sampled_from(SCHEDULES))
def test_levels_fall_from_the_highest_to_nothing(steps: int, schedule: ScheduleName) -> None:
    got = levels(schedule, steps)
    assert got.sigmas.shape == (steps + 1,)
    assert got.timesteps.shape == (steps,)
    assert got.sigmas[0] == pytest.approx(HIGHEST, rel=1e-4)
    assert got.sigmas[-1] == 0
    assert (np.diff(got.sigmas) < 0).all()
    assert got.timesteps.max() <= 999
    assert got.timesteps.min() >= 0


@given(steps=st.integers(2, 150))
def test_normal_spaces_timesteps_evenly_down_to_the_first(steps: int) -> None:
    got = levels("normal", steps)
    wanted = [999 - 999 * step / (steps - 1) for step in range(steps)]
    np.testing.assert_allclose(got.timesteps, wanted, atol=1e-3)
    np.testing.assert_allclose(got.sigmas[:-1], np.interp(wanted, range(1000), TRAINED), rtol=1e-4)


@given(steps=st.integers(1, 150))
def test_sgm_uniform_leaves_the_first_timestep_out(steps: int) -> None:
    wanted = [999 - 999 * step / steps for step in range(steps)]
    np.testing.assert_allclose(levels("sgm_uniform", steps).timesteps, wanted, atol=1e-3)


@given(steps=st.integers(2, 150))
def test_karras_spaces_the_seventh_roots_evenly(steps: int) -> None:
    roots = levels("karras", steps).sigmas[:-1].astype(float) ** (1 / 7)
    np.testing.assert_allclose(np.diff(roots), (LOWEST ** (1 / 7) - HIGHEST ** (1 / 7)) / (steps - 1), rtol=1e-3)


@given(steps=st.integers(2, 150))
def test_exponential_spaces_logarithms_evenly(steps: int) -> None:
    logs = np.log(levels("exponential", steps).sigmas[:-1].astype(float))
    np.testing.assert_allclose(np.diff(logs), math.log(LOWEST / HIGHEST) / (steps - 1), rtol=1e-3)


@given(steps=st.integers(2, 150))
def test_kl_optimal_spaces_arc_tangents_evenly(steps: int) -> None:
    angles = np.arctan(levels("kl_optimal", steps).sigmas[:-1].astype(float))
    step = (math.atan(LOWEST) - math.atan(HIGHEST)) / (steps - 1)
    np.testing.assert_allclose(np.diff(angles), step, rtol=1e-3)


@given(steps=st.integers(1, 150))
def test_simple_takes_every_nth_trained_level(steps: int) -> None:
    stride = 1000 / steps
    wanted = [TRAINED[999 - int(step * stride)] for step in range(steps)]
    np.testing.assert_array_equal(levels("simple", steps).sigmas[:-1], np.array(wanted, dtype=np.float32))


def beta_share(x: float, shape: float = 0.6) -> float:
    """Return the share of Beta(shape, shape) below x, by its series (DLMF 8.17.7)."""
    if x > 0.5:
        return 1 - beta_share(1 - x, shape)
    term, total = 1.0, 1.0
    for n in range(1, 60):
        term *= (n - shape) * x / n
        total += term * shape / (shape + n)
    return float(x**shape / shape * total * math.gamma(2 * shape) / math.gamma(shape) ** 2)


@given(steps=st.integers(1, 150))
def test_beta_takes_even_shares_of_the_beta_distribution(steps: int) -> None:
    got = levels("beta", steps)
    shares = [beta_share(timestep / 999) for timestep in got.timesteps]
    np.testing.assert_allclose(shares, [1 - step / steps for step in range(steps)], atol=1e-7)
    np.testing.assert_allclose(got.sigmas[:-1], np.interp(got.timesteps, range(1000), TRAINED), rtol=1e-4)


def test_beta_is_the_quantile_that_scipy_gives() -> None:
    wanted = [1, 0.960415594, 0.87707825, 0.765982996, 0.637299009, 0.5]
    wanted += [0.362700991, 0.234017004, 0.12292175, 0.039584406]
    np.testing.assert_allclose(levels("beta", 10).timesteps / 999, wanted, atol=1e-7)


@given(timestep=st.floats(0, 999))
def test_timesteps_are_the_inverse_of_levels(timestep: float) -> None:
    low = math.floor(min(timestep, 998))
    share = timestep - low
    sigma = math.exp((1 - share) * math.log(TRAINED[low]) + share * math.log(TRAINED[low + 1]))
    assert timesteps_of(np.array([sigma]), TRAINED)[0] == pytest.approx(timestep, abs=1e-2)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_schedule_gives_every_sampler_other_levels(sampler: SamplerName) -> None:
    walks = {schedule: course(sampler, schedule, 10).calls for schedule in SCHEDULES}
    for schedule, calls in walks.items():
        sigmas = list({call.step: call.sigma for call in reversed(calls)}.values())[::-1]
        np.testing.assert_array_equal(np.array(sigmas, dtype=np.float32), levels(schedule, 10).sigmas[:-1])
    assert len({tuple(call.sigma for call in calls) for calls in walks.values()}) == len(SCHEDULES)


def gaussian_answer(way: Course, number: int, latents: torch.Tensor, mean: float, spread: float) -> torch.Tensor:
    """Answer as a perfect UNet would that was trained on pictures of independent Gaussian pixels."""
    call = way.calls[number]
    size = math.hypot(call.sigma, 1)
    noisy = way.scaled(latents, call) * size
    clean = (spread**2 * noisy + call.sigma**2 * mean) / (spread**2 + call.sigma**2)
    epsilon = (noisy - clean) / call.sigma
    output = epsilon if way.prediction == "epsilon" else (epsilon - call.sigma * clean) / size
    torch.testing.assert_close(way.expected(output, call, latents), clean, atol=2e-3, rtol=1e-3)
    return output


def walk(way: Course, mean: float = 0.3, spread: float = 0.8) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the latents a course ends at for Gaussian pictures, and where the exact solution of the equation ends."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 4, 64, 64, generator=generator)
    latents = way.pure(noise)
    first = way.calls[0].sigma
    start = way.scaled(latents, way.calls[0]) * (first**2 + 1) ** 0.5
    exact = mean + (start - mean) * spread / (spread**2 + first**2) ** 0.5
    for number, call in enumerate(way.calls):
        latents = way.advance(gaussian_answer(way, number, latents, mean, spread), call, latents, [generator])
    return latents, exact


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", DETERMINISTIC)
def test_more_steps_come_closer_to_the_exact_solution(sampler: SamplerName, schedule: ScheduleName) -> None:
    def error(steps: int) -> float:
        ours, exact = walk(course(sampler, schedule, steps))
        return (ours - exact).abs().max().item()

    few, many = error(30), error(120)
    assert many < 0.6 * few or many < 0.01
    assert many < 0.1


@pytest.mark.parametrize(
    ("sampler", "schedule"),
    [
        *((sampler, schedule) for sampler in NOISY for schedule in ("karras", "exponential", "beta")),
        # The last steps of `normal` are long beside those before: dpmpp_3m_sde would extrapolate too far from them.
        *((sampler, "normal") for sampler in NOISY if sampler != "dpmpp_3m_sde"),
    ],
)
def test_samplers_that_add_noise_keep_the_distribution(sampler: SamplerName, schedule: ScheduleName) -> None:
    ours, _ = walk(course(sampler, schedule, 80))
    assert ours.mean().item() == pytest.approx(0.3, abs=0.02)
    assert ours.std().item() == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_last_step_leaves_no_noise(sampler: SamplerName, schedule: ScheduleName) -> None:
    for steps in (1, 4, 30):
        way, generator = course(sampler, schedule, steps), torch.Generator().manual_seed(0)
        latents = way.pure(torch.randn(1, 4, 16, 16, generator=generator))
        for call in way.calls:
            # What a perfect UNet finds that knows one picture, all 0.3, and of the noise no more than the timestep.
            sigma = float(np.interp(call.timestep.item(), range(len(TRAINED)), TRAINED))
            epsilon = (way.scaled(latents, call) * math.hypot(sigma, 1) - 0.3) / sigma
            latents = way.advance(epsilon, call, latents, [generator])
        assert (latents - 0.3).abs().max().item() < 0.01


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_v_prediction_with_zero_terminal_snr_is_the_same_equation(sampler: SamplerName) -> None:
    ours, exact = walk(course(sampler, "normal", 80, prediction_type="v_prediction", rescale_betas_zero_snr=True))
    assert torch.isfinite(ours).all()
    if sampler in DETERMINISTIC:
        assert (ours - exact).abs().max().item() < 0.15


@settings(max_examples=30)
@given(steps=st.integers(1, 40), data=st.data(), sampler=st.sampled_from(SAMPLERS))
def test_a_partial_run_is_the_end_of_the_whole_one(steps: int, data: st.DataObject, sampler: SamplerName) -> None:
    run = data.draw(st.integers(1, steps))
    whole = course(sampler, "karras", steps).calls
    part = Course(sampler, "karras", steps, range(steps - run, steps), CONFIG, "cpu").calls
    assert part[-1].step == run
    assert [call.sigma for call in part[1:]] == [call.sigma for call in whole[len(whole) - len(part) + 1 :]]
    assert part[0].sigma == levels("karras", steps).sigmas[steps - run]


def test_one_step_goes_from_the_highest_level_to_the_picture() -> None:
    for sampler in SAMPLERS:
        (call,) = course(sampler, "normal", 1).calls
        assert call.timestep.item() == 999
