"""The loop draws, bit for bit, what diffusers' own pipelines draw."""

from typing import Any

import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPAGPipeline,
    StableDiffusionXLPipeline,
)

from nodes.sdxl.arrays import from_tensor, to_tensor
from nodes.sdxl.request import MicroConditioning
from nodes.values import Guidance, Latents
from tests.nodes.sdxl.sampling import conditioning, drawn, left_half, picture
from tests.tiny import Tiny, tiny

STEPS = 5
SEED = 7

CASES = [
    ("euler", "normal", EulerDiscreteScheduler, {}),
    ("euler", "karras", EulerDiscreteScheduler, {"use_karras_sigmas": True}),
    ("euler", "exponential", EulerDiscreteScheduler, {"use_exponential_sigmas": True}),
    ("euler_ancestral", "normal", EulerAncestralDiscreteScheduler, {}),
    ("dpmpp_2m", "karras", DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    (
        "dpmpp_2m_sde",
        "karras",
        DPMSolverMultistepScheduler,
        {"use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++"},
    ),
    ("heun", "normal", HeunDiscreteScheduler, {}),
    ("heun", "karras", HeunDiscreteScheduler, {"use_karras_sigmas": True}),
]
NAMES = [f"{sampler}-{schedule}" for sampler, schedule, _, _ in CASES]
FROM_PICTURES = [case for case in CASES if case[0] in ("euler", "euler_ancestral", "dpmpp_2m")]


@pytest.fixture(scope="module")
def parts() -> Tiny:
    torch.set_num_threads(1)
    return tiny()


def oracle(parts: Tiny, cls: type[Any], scheduler: type[Any], options: dict[str, Any], **call: Any) -> torch.Tensor:
    """Run a pipeline of diffusers, unchanged, on the same weights, texts and seed."""
    components = parts.pipeline().components
    config = {**components["scheduler"].config, "timestep_spacing": "linspace"}
    components["scheduler"] = scheduler.from_config(config, **options)
    extra = {"pag_applied_layers": ["mid"]} if cls is StableDiffusionXLPAGPipeline else {}
    pipe = cls(**components, **extra)
    pipe.set_progress_bar_config(disable=True)
    texts = conditioning()
    processors = dict(parts.model.unet.attn_processors)
    images = pipe(
        prompt_embeds=to_tensor(texts.positive.embeds),
        pooled_prompt_embeds=to_tensor(texts.positive.pooled),
        negative_prompt_embeds=to_tensor(texts.negative.embeds),
        negative_pooled_prompt_embeds=to_tensor(texts.negative.pooled),
        num_inference_steps=STEPS,
        generator=torch.Generator("cpu").manual_seed(SEED),
        output_type="latent",
        **call,
    ).images
    assert list(parts.model.unet.attn_processors) == list(processors)
    assert isinstance(images, torch.Tensor)
    return images


@pytest.mark.parametrize(("sampler", "schedule", "scheduler", "options"), CASES, ids=NAMES)
@pytest.mark.parametrize("cfg", [1.0, 5.0])
def test_text_to_image(
    parts: Tiny, sampler: str, schedule: str, scheduler: type[Any], options: dict[str, Any], cfg: float
) -> None:
    cls = type(parts.pipeline())
    expected = oracle(parts, cls, scheduler, options, guidance_scale=cfg, width=64, height=64)
    ours = drawn(parts.model, sampler=sampler, schedule=schedule, steps=STEPS, cfg=cfg)
    assert torch.equal(ours, expected)


def test_rectangle_and_micro_conditioning(parts: Tiny) -> None:
    expected = oracle(
        parts,
        type(parts.pipeline()),
        EulerDiscreteScheduler,
        {},
        guidance_scale=5.0,
        width=96,
        height=64,
        original_size=(512, 768),
        crops_coords_top_left=(3, 5),
        target_size=(128, 192),
    )
    micro = MicroConditioning(original=(768, 512), crop=(5, 3), target=(192, 128))
    ours = drawn(parts.model, sampler="euler", steps=STEPS, size=(96, 64), micro=micro)
    assert ours.shape == (1, 4, 8, 12)
    assert torch.equal(ours, expected)
    assert not torch.equal(ours, drawn(parts.model, sampler="euler", steps=STEPS, size=(96, 64)))


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"])
def test_guidance_rescale(parts: Tiny, sampler: str) -> None:
    scheduler = EulerDiscreteScheduler if sampler == "euler" else EulerAncestralDiscreteScheduler
    cls = type(parts.pipeline())
    expected = oracle(parts, cls, scheduler, {}, guidance_scale=7.5, guidance_rescale=0.7, width=64, height=64)
    assert torch.equal(drawn(parts.model, sampler=sampler, steps=STEPS, cfg=7.5, rescale=0.7), expected)


@pytest.mark.parametrize(("sampler", "schedule", "scheduler", "options"), CASES, ids=NAMES)
@pytest.mark.parametrize("cfg", [1.0, 5.0])
def test_perturbed_attention_guidance(
    parts: Tiny, sampler: str, schedule: str, scheduler: type[Any], options: dict[str, Any], cfg: float
) -> None:
    expected = oracle(
        parts, StableDiffusionXLPAGPipeline, scheduler, options, guidance_scale=cfg, pag_scale=3.0, width=64, height=64
    )
    ours = drawn(parts.model, sampler=sampler, schedule=schedule, steps=STEPS, cfg=cfg, guidance=Guidance(3.0))
    assert torch.equal(ours, expected)


@pytest.mark.parametrize(("sampler", "schedule", "scheduler", "options"), FROM_PICTURES)
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_image_to_image(
    parts: Tiny, sampler: str, schedule: str, scheduler: type[Any], options: dict[str, Any], strength: float
) -> None:
    start = picture()
    expected = oracle(
        parts,
        StableDiffusionXLImg2ImgPipeline,
        scheduler,
        options,
        image=to_tensor(start.samples),
        strength=strength,
        guidance_scale=5.0,
        original_size=(64, 64),
        target_size=(64, 64),
    )
    ours = drawn(parts.model, sampler=sampler, schedule=schedule, steps=STEPS, latents=start, denoise=strength)
    assert torch.equal(ours, expected)


@pytest.mark.parametrize(("sampler", "schedule", "scheduler", "options"), FROM_PICTURES)
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpaint(
    parts: Tiny, sampler: str, schedule: str, scheduler: type[Any], options: dict[str, Any], strength: float
) -> None:
    start, mask = picture(), left_half()
    expected = oracle(
        parts,
        StableDiffusionXLInpaintPipeline,
        scheduler,
        options,
        image=to_tensor(start.samples),
        mask_image=to_tensor(mask.weight)[:, None].float() / 255,
        masked_image_latents=torch.zeros(1, 4, 8, 8),
        strength=strength,
        guidance_scale=5.0,
        width=64,
        height=64,
    )
    ours = drawn(
        parts.model, sampler=sampler, schedule=schedule, steps=STEPS, latents=start, mask=mask, denoise=strength
    )
    assert torch.equal(ours, expected)
    assert torch.equal(ours[..., 4:], to_tensor(start.samples)[..., 4:])
    assert not torch.equal(ours[..., :4], to_tensor(start.samples)[..., :4])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_two_that_share_a_run(parts: Tiny, share: float) -> None:
    """diffusers counts timesteps where we count steps: with timesteps spread evenly, both cut at the same step."""
    call = {"guidance_scale": 5.0, "width": 64, "height": 64, "original_size": (64, 64), "target_size": (64, 64)}
    first = oracle(parts, StableDiffusionXLPipeline, EulerDiscreteScheduler, {}, denoising_end=share, **call)
    second = oracle(
        parts,
        StableDiffusionXLImg2ImgPipeline,
        EulerDiscreteScheduler,
        {},
        image=first,
        denoising_start=share,
        strength=1.0,
        **call,
    )
    steps = round(share * STEPS)
    half = drawn(parts.model, steps=STEPS, sampler="euler", end_step=steps)
    assert torch.equal(half, first)
    latents = Latents(from_tensor(half))
    assert torch.equal(drawn(parts.model, steps=STEPS, sampler="euler", start_step=steps, latents=latents), second)
