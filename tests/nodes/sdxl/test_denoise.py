"""The laws of the denoise loop."""

import io
import threading
from itertools import pairwise
from typing import get_args

import pytest
import torch
from PIL import Image

from engine.errors import Cancelled, NovaError
from nodes.samplers import SamplerName, ScheduleName
from nodes.sdxl.arrays import from_tensor, to_tensor
from nodes.sdxl.course import Course
from nodes.sdxl.denoise import denoise, latent_mask
from nodes.sdxl.model import LiveModel
from nodes.values import Conditioning, Guidance, Latents, Mask, Prompted
from tests.nodes.sdxl.sampling import Watcher, conditioning, drawn, left_half, picture, request
from tests.tiny import scheduler, unet


@pytest.fixture(scope="module")
def live() -> LiveModel:
    torch.set_num_threads(1)
    return LiveModel(unet(), dict(scheduler().config))


NOISY = ["dpmpp_3m_sde", "dpmpp_sde", "dpmpp_2s_ancestral"]


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde", "lcm", "heun", "uni_pc", *NOISY])
def test_picture_k_is_the_picture_of_seed_plus_k(live: LiveModel, sampler: SamplerName) -> None:
    batch = drawn(live, sampler=sampler, seeds=(7, 8, 9), guidance=Guidance(3.0))
    for k in range(3):
        assert torch.equal(batch[k : k + 1], drawn(live, sampler=sampler, seeds=(7 + k,), guidance=Guidance(3.0)))
    assert not torch.equal(batch[0], batch[1])


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde", "lcm", "uni_pc", *NOISY])
@pytest.mark.parametrize("guidance", [None, Guidance(3.0)])
def test_micro_batches_differ_by_rounding_only(
    live: LiveModel, sampler: SamplerName, guidance: Guidance | None
) -> None:
    alone = drawn(live, sampler=sampler, seeds=(7, 8, 9), guidance=guidance)
    together = drawn(live, sampler=sampler, seeds=(7, 8, 9), guidance=guidance, micro_batch=2)
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-3)


def test_micro_batches_of_pictures_and_masks(live: LiveModel) -> None:
    start = picture(batch=3)
    masks = torch.cat([to_tensor(left_half().weight), 255 - to_tensor(left_half().weight)])
    mask = Mask(from_tensor(torch.cat([masks, masks[:1]])))
    changes = {"seeds": (7, 8, 9), "latents": start, "mask": mask, "denoise": 0.5, "sampler": "euler"}
    alone, together = drawn(live, **changes), drawn(live, micro_batch=2, **changes)
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-3)
    given = to_tensor(start.samples)
    assert torch.equal(alone[1, ..., :4], given[1, ..., :4])
    assert torch.equal(alone[2, ..., 4:], given[2, ..., 4:])


def test_repeating_a_run_repeats_its_bits(live: LiveModel) -> None:
    assert torch.equal(drawn(live), drawn(live))


def test_result_carries_the_seeds(live: LiveModel) -> None:
    latents = denoise(live, request(seeds=(7, 8), steps=1), Watcher())
    assert latents.seeds == (7, 8)
    assert latents.samples.dtype == "F32"
    assert latents.samples.shape == (2, 4, 8, 8)


@pytest.mark.parametrize("sampler", ["euler_ancestral", "heun", *NOISY])
def test_progress_counts_steps_over_all_pictures(live: LiveModel, sampler: SamplerName) -> None:
    watcher = Watcher()
    denoise(live, request(sampler=sampler, seeds=(7, 8, 9), micro_batch=2, steps=3), watcher)
    assert watcher.steps == [(2, 9), (4, 9), (6, 9), (7, 9), (8, 9), (9, 9)]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_cancel_stops_between_steps(live: LiveModel, at: int) -> None:
    def cancel(step: int) -> None:
        if step == at:
            raise Cancelled

    watcher = Watcher(act=cancel)
    with pytest.raises(Cancelled):
        denoise(live, request(), watcher)
    assert [step for step, _ in watcher.steps] == list(range(1, at + 1))


def test_a_picture_that_does_not_fit_is_begun_again_without_idle_models(live: LiveModel) -> None:
    expected = drawn(live, seeds=(7, 8))
    failing = iter([False] * 6 + [True] + [False] * 6)

    def fail(module: torch.nn.Module, inputs: object) -> None:
        if next(failing):
            raise torch.OutOfMemoryError("out of memory")

    watcher = Watcher()
    handle = live.unet.register_forward_pre_hook(fail)
    try:
        got = denoise(live, request(seeds=(7, 8)), watcher)
    finally:
        handle.remove()
    assert torch.equal(to_tensor(got.samples), expected)
    assert watcher.rooms == 1
    assert watcher.steps == [(step, 8) for step in (1, 2, 3, 4, 5, 6, 5, 6, 7, 8)]


def test_pictures_that_never_fit_are_an_error_that_says_what_to_do(live: LiveModel) -> None:
    def fail(module: torch.nn.Module, inputs: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    watcher = Watcher()
    handle = live.unet.register_forward_pre_hook(fail)
    try:
        with pytest.raises(NovaError, match="ran out of memory drawing 2 pictures at once of 64x64") as caught:
            denoise(live, request(seeds=(7, 8), micro_batch=2), watcher)
    finally:
        handle.remove()
    assert "micro_batch 1" in caught.value.hint
    assert watcher.rooms == 1


def test_cancel_before_the_first_step_asks_the_unet_nothing(live: LiveModel) -> None:
    class Refusal(Watcher):
        def check(self) -> None:
            raise Cancelled

    calls: list[int] = []
    handle = live.unet.register_forward_pre_hook(lambda module, inputs: calls.append(1))
    try:
        with pytest.raises(Cancelled):
            denoise(live, request(), Refusal())
    finally:
        handle.remove()
    assert calls == []


@pytest.mark.parametrize(("cfg", "guidance", "rows"), [(1.0, None, 1), (5.0, None, 2), (5.0, Guidance(3.0), 3)])
def test_rows_asked_of_the_unet(live: LiveModel, cfg: float, guidance: Guidance | None, rows: int) -> None:
    seen: list[int] = []
    handle = live.unet.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    try:
        drawn(live, cfg=cfg, guidance=guidance, steps=3)
    finally:
        handle.remove()
    assert seen == [rows] * 3


def test_guidance_interval_leaves_rows_out(live: LiveModel) -> None:
    seen: list[int] = []
    handle = live.unet.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    try:
        ours = drawn(live, guidance=Guidance(3.0), interval=(0.25, 0.75))
    finally:
        handle.remove()
    assert seen == [1, 3, 3, 1]
    assert not torch.equal(ours, drawn(live, guidance=Guidance(3.0)))


def test_nothing_is_left_of_the_negative_prompt_at_cfg_1(live: LiveModel) -> None:
    other = Conditioning(conditioning(0).positive, conditioning(1).negative)
    assert torch.equal(drawn(live, cfg=1.0), drawn(live, cfg=1.0, conditioning=other))
    assert not torch.equal(drawn(live), drawn(live, conditioning=other))


def test_no_guidance_equals_guidance_of_scale_0(live: LiveModel) -> None:
    assert torch.equal(drawn(live), drawn(live, guidance=Guidance(0.0)))


def poisoned(step: int) -> LiveModel:
    """Return a model whose UNet answers NaN from a step on."""
    model = LiveModel(unet(), dict(scheduler().config))
    calls = [0]

    def poison(module: object, inputs: object, output: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        calls[0] += 1
        return (output[0] * float("nan"),) if calls[0] >= step else output

    model.unet.register_forward_hook(poison)
    return model


@pytest.mark.parametrize("step", [1, 2, 4])
def test_nan_is_named_by_its_step(step: int) -> None:
    with pytest.raises(NovaError, match=f"in step {step} of 4"):
        drawn(poisoned(step))


def test_nan_in_the_given_latents_is_no_fault_of_a_step(live: LiveModel) -> None:
    start = Latents(from_tensor(torch.full((1, 4, 8, 8), float("nan"))))
    with pytest.raises(NovaError, match="before the first step"):
        drawn(live, latents=start, denoise=0.5)


def test_previews_are_small_pictures(live: LiveModel) -> None:
    watcher = Watcher(looks=True)
    denoise(live, request(size=(96, 64)), watcher)
    assert len(watcher.previews) == 4
    for data in watcher.previews:
        shown = Image.open(io.BytesIO(data))
        shown.load()
        assert shown.size == (256, 171)
        assert len(data) < 100_000


def test_looking_at_previews_changes_nothing(live: LiveModel) -> None:
    seen = to_tensor(denoise(live, request(), Watcher(looks=True)).samples)
    assert torch.equal(seen, drawn(live))


def test_runs_may_be_nested_without_sharing_state(live: LiveModel) -> None:
    alone = drawn(live, sampler="dpmpp_2m")
    other = LiveModel(unet(1), live.scheduler_config)

    def interrupt(step: int) -> None:
        drawn(other, sampler="dpmpp_2m", steps=3, schedule="karras")

    nested = to_tensor(denoise(live, request(sampler="dpmpp_2m"), Watcher(act=interrupt)).samples)
    assert torch.equal(nested, alone)


def test_threads_share_a_unet_one_run_at_a_time(live: LiveModel) -> None:
    wanted = {None: drawn(live), Guidance(3.0): drawn(live, guidance=Guidance(3.0))}
    got: list[tuple[Guidance | None, torch.Tensor]] = []

    def work(guidance: Guidance | None) -> None:
        torch.set_num_threads(1)
        got.append((guidance, drawn(live, guidance=guidance)))

    threads = [threading.Thread(target=work, args=(guidance,)) for guidance in [None, Guidance(3.0)] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert all(torch.equal(latents, wanted[guidance]) for guidance, latents in got)


@pytest.mark.parametrize("schedule", ["karras", "exponential", "sgm_uniform", "simple", "kl_optimal", "beta"])
def test_schedules_change_the_picture_of_euler_ancestral(live: LiveModel, schedule: ScheduleName) -> None:
    assert not torch.equal(drawn(live), drawn(live, schedule=schedule))


def test_euler_ancestral_with_karras_follows_k_diffusion(live: LiveModel) -> None:
    """Written out from k-diffusion's sample_euler_ancestral and get_sigmas_karras."""
    ramp = torch.linspace(0, 1, 4, dtype=torch.float64)
    low, high = 0.029167538 ** (1 / 7), 14.614646 ** (1 / 7)
    sigmas = torch.cat([(high + ramp * (low - high)) ** 7, torch.zeros(1)]).float()
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    trained = ((1 - (1 - betas).cumprod(0)) / (1 - betas).cumprod(0)).sqrt().log()
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(1, 4, 8, 8, generator=generator) * sigmas[0]
    positive = conditioning().positive
    added = {"text_embeds": to_tensor(positive.pooled), "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]])}
    for sigma, after in pairwise(sigmas):
        above = int((trained < sigma.log()).sum().clamp(1, 999))
        share = (sigma.log() - trained[above - 1]) / (trained[above] - trained[above - 1])
        t = above - 1 + share.clamp(0, 1)
        with torch.no_grad():
            eps = live.unet(x / (sigma**2 + 1).sqrt(), t, to_tensor(positive.embeds), added_cond_kwargs=added).sample
        up = torch.minimum(after, (after**2 * (sigma**2 - after**2) / sigma**2).sqrt())
        down = (after**2 - up**2).sqrt()
        x = x + eps * (down - sigma)
        x = x + torch.randn(1, 4, 8, 8, generator=generator) * up
    torch.testing.assert_close(drawn(live, schedule="karras", cfg=1.0), x, atol=1e-3, rtol=1e-3)


def test_denoise_runs_only_the_last_steps(live: LiveModel) -> None:
    watcher = Watcher()
    denoise(live, request(latents=picture(), denoise=0.3, steps=10), watcher)
    assert watcher.steps[-1] == (3, 3)


FORGETFUL = ("euler", "euler_ancestral", "heun", "ddim", "dpmpp_sde", "dpmpp_2s_ancestral")


def in_parts(live: LiveModel, at: int, **changes: object) -> Latents:
    """Draw in two runs, the second of which begins where the first leaves off."""
    first = denoise(live, request(end_step=at, **changes), Watcher())
    return denoise(live, request(start_step=at, **{**changes, "latents": first}), Watcher())


@pytest.mark.parametrize("sampler", FORGETFUL)
@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("micro_batch", [1, 2])
def test_a_run_in_parts_is_the_run(live: LiveModel, sampler: SamplerName, at: int, micro_batch: int) -> None:
    changes: dict[str, object] = {
        "sampler": sampler,
        "schedule": "karras",
        "seeds": (7, 8),
        "micro_batch": micro_batch,
        "guidance": Guidance(3.0),
        "interval": (0.2, 0.8),
    }
    assert in_parts(live, at, **changes) == denoise(live, request(**changes), Watcher())


@pytest.mark.parametrize("sampler", get_args(SamplerName))
def test_any_sampler_takes_up_what_any_other_leaves(live: LiveModel, sampler: SamplerName) -> None:
    """Their latents have one scale in between, whatever they compute with."""
    left, usual = (drawn(live, sampler=name, schedule="karras", steps=20, end_step=2) for name in (sampler, "euler"))
    assert 0.5 < left.std().item() / usual.std().item() < 2
    latents = Latents(from_tensor(left))
    ended = drawn(live, sampler="euler", schedule="karras", steps=20, start_step=2, latents=latents)
    assert torch.isfinite(ended).all()
    again = drawn(live, sampler=sampler, schedule="karras", steps=20, start_step=2, latents=latents)
    assert torch.isfinite(again).all()
    assert 0.2 < again.std().item() / ended.std().item() < 5


def test_a_picture_may_be_left_with_noise_and_taken_up(live: LiveModel) -> None:
    changes: dict[str, object] = {"latents": picture(), "denoise": 0.5, "steps": 10, "sampler": "euler"}
    whole = denoise(live, request(**changes), Watcher())
    first = denoise(live, request(end_step=8, **changes), Watcher())
    second = denoise(live, request(start_step=8, steps=10, sampler="euler", latents=first), Watcher())
    assert second == whole


def test_what_a_mask_keeps_is_left_with_as_much_noise(live: LiveModel) -> None:
    changes: dict[str, object] = {"latents": picture(), "mask": left_half(), "steps": 10, "sampler": "euler"}
    left = denoise(live, request(end_step=5, **changes), Watcher())
    kept = to_tensor(left.samples)[..., 4:] - to_tensor(picture().samples)[..., 4:]
    sigma = Course("euler", "normal", 10, range(5, 10), live.scheduler_config, "cpu").calls[0].sigma
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(kept, sigma * noise[..., 4:], atol=1e-5, rtol=1e-5)


def test_progress_counts_the_steps_of_the_part(live: LiveModel) -> None:
    watcher = Watcher()
    denoise(live, request(steps=10, start_step=2, end_step=6, latents=picture()), watcher)
    assert watcher.steps == [(step, 4) for step in range(1, 5)]


def test_less_denoise_stays_closer_to_the_picture(live: LiveModel) -> None:
    start = to_tensor(picture().samples)
    changed = [
        (drawn(live, latents=picture(), denoise=share, steps=20, sampler="euler") - start).abs().mean().item()
        for share in (0.1, 0.5, 1.0)
    ]
    assert changed == sorted(changed)


def test_a_mask_keeps_latents_for_every_sampler(live: LiveModel) -> None:
    start = to_tensor(picture().samples)
    for sampler in ("heun", "dpmpp_2m_sde", "uni_pc", "lcm", *NOISY):
        ours = drawn(live, sampler=sampler, latents=picture(), mask=left_half(), denoise=0.75)
        assert torch.equal(ours[..., 4:], start[..., 4:])
        assert not torch.equal(ours[..., :4], start[..., :4])


def columns(*weights: int) -> Mask:
    """Return a mask of 64 x 64 pixels with one weight for each of its eight columns of latent pixels."""
    row = torch.tensor(weights, dtype=torch.uint8).repeat_interleave(8)
    return Mask(from_tensor(row.repeat(1, 64, 1)))


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpmpp_2m", *NOISY])
def test_a_soft_mask_without_grey_is_a_hard_one(live: LiveModel, sampler: SamplerName) -> None:
    changes: dict[str, object] = {"sampler": sampler, "latents": picture(), "mask": left_half(), "denoise": 0.75}
    assert torch.equal(drawn(live, soft_mask=True, **changes), drawn(live, **changes))


@pytest.mark.parametrize("sampler", ["euler", "heun", "lcm"])
def test_a_soft_mask_repaints_grey_in_the_last_steps(live: LiveModel, sampler: SamplerName) -> None:
    start, mask = to_tensor(picture().samples), columns(0, 0, 26, 77, 128, 179, 230, 255)
    changes: dict[str, object] = {"sampler": sampler, "schedule": "karras", "steps": 10, "latents": picture()}
    ours = drawn(live, mask=mask, soft_mask=True, **changes)
    assert torch.equal(ours[..., :2], start[..., :2])
    moved = (ours - start).abs().mean(dim=(0, 1, 2))
    assert (moved[2:] > 0).all()
    assert moved[2] < moved[4] < moved[7]
    hard = drawn(live, mask=mask, **changes)
    assert torch.equal(hard[..., :4], start[..., :4])


def test_a_soft_mask_over_a_shared_run_is_one_mask(live: LiveModel) -> None:
    """The share that is done counts from the beginning of the whole run."""
    mask = columns(0, 40, 80, 120, 160, 200, 240, 255)
    changes: dict[str, object] = {"latents": picture(), "mask": mask, "soft_mask": True, "sampler": "euler"}
    left = denoise(live, request(steps=8, end_step=4, **changes), Watcher())
    whole = denoise(live, request(steps=8, end_step=5, **changes), Watcher())
    assert left != whole
    kept = [column for column in range(8) if torch.equal(*_columns(left, picture_at(live, 4), column))]
    assert kept == [0, 1, 2, 3]


def picture_at(live: LiveModel, step: int) -> Latents:
    """Return the picture with the noise that it has after so many of eight steps."""
    nothing = Mask(from_tensor(torch.zeros(1, 64, 64, dtype=torch.uint8)))
    asked = request(latents=picture(), mask=nothing, steps=8, end_step=step, sampler="euler")
    return denoise(live, asked, Watcher())


def _columns(first: Latents, second: Latents, column: int) -> tuple[torch.Tensor, torch.Tensor]:
    return to_tensor(first.samples)[..., column], to_tensor(second.samples)[..., column]


def test_a_mask_repaints_blocks_that_are_half_covered() -> None:
    weight = torch.zeros(1, 16, 16, dtype=torch.uint8)
    weight[0, :8, :4] = 255
    weight[0, 8:, 8:11] = 255
    assert latent_mask(weight).tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]


@pytest.mark.parametrize(("dtype", "share"), [(torch.bfloat16, 0.05), (torch.float16, 0.005)], ids=str)
def test_short_dtypes_draw_nearly_the_same(dtype: torch.dtype, share: float) -> None:
    whole = LiveModel(unet(), dict(scheduler().config))
    half = LiveModel(unet().to(dtype), dict(scheduler().config))
    ours, theirs = drawn(half), drawn(whole)
    assert ours.dtype == torch.float32
    assert 0 < (ours - theirs).abs().mean() < share * theirs.abs().mean()


def test_prompts_of_different_length_are_refused() -> None:
    short = conditioning()
    longer = Prompted(from_tensor(torch.zeros(1, 154, 48)), short.negative.pooled)
    with pytest.raises(NovaError, match="same length"):
        request(conditioning=Conditioning(short.positive, longer))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"denoise": 0.2, "latents": picture()}, "denoise 0.2 of 4 steps leaves less than one step"),
        ({"denoise": 0.5}, "there are no latents to keep"),
        ({"mask": left_half()}, "there are no latents to keep"),
        ({"latents": picture(size=(32, 64))}, "the latents of shape .* do not fit a picture of 64x64"),
        ({"latents": picture(batch=2), "seeds": (1, 2, 3)}, "do not fit 3 pictures of"),
        ({"latents": picture(), "mask": left_half((32, 32))}, "mask of shape .1, 32, 32. does not fit a picture"),
        ({"size": (60, 64)}, "multiples of 8"),
        ({"seeds": ()}, "no seed"),
        ({"end_step": 5}, "end_step is 5, but there are 4 steps"),
        ({"start_step": 2}, "goes on with latents that have their noise, but there are no latents"),
        ({"start_step": 2, "latents": picture(), "mask": left_half()}, "but a mask keeps"),
        ({"start_step": 2, "latents": picture(), "denoise": 0.5}, "both say where to begin"),
        ({"start_step": 2, "end_step": 2, "latents": picture()}, "begin after 2 steps and end after 2"),
        ({"start_step": 4, "latents": picture()}, "begin after 4 steps and end after 4"),
        ({"end_step": 1, "latents": picture(), "denoise": 0.5}, "begin after 2 steps and end after 1"),
    ],
)
def test_what_does_not_fit_is_refused_before_loading(changes: dict[str, object], message: str) -> None:
    with pytest.raises(NovaError, match=message):
        request(**changes)
