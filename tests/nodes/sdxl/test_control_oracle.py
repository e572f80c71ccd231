"""With ControlNets, too, the loop draws bit for bit what diffusers' own pipelines draw."""

from typing import Any

import PIL.Image
import pytest
import torch
from diffusers import (
    ControlNetModel,
    ControlNetUnionModel,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusionXLControlNetImg2ImgPipeline,
    StableDiffusionXLControlNetPAGPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLControlNetUnionImg2ImgPipeline,
    StableDiffusionXLControlNetUnionPipeline,
)
from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel
from diffusers.models.controlnets.multicontrolnet_union import MultiControlNetUnionModel

from nodes.sdxl.arrays import to_tensor
from nodes.sdxl.control import LiveControlNetwork
from nodes.sdxl.denoise import denoise
from nodes.values import Guidance, Image
from tests.nodes.sdxl.controls import control, control_net, hint, union_net
from tests.nodes.sdxl.sampling import Watcher, conditioning, picture, request
from tests.tiny import Tiny, tiny

STEPS = 5
SEED = 7

CASES = [
    ("euler", "normal", EulerDiscreteScheduler, {}),
    ("euler_ancestral", "normal", EulerAncestralDiscreteScheduler, {}),
    ("dpmpp_2m", "karras", DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    ("heun", "normal", HeunDiscreteScheduler, {}),
]


@pytest.fixture(scope="module")
def parts() -> Tiny:
    return tiny()


@pytest.fixture(scope="module")
def networks() -> tuple[ControlNetModel, ControlNetModel]:
    return control_net(0), control_net(1)


def pil(image: Image) -> PIL.Image.Image:
    _, height, width, _ = image.pixels.shape
    return PIL.Image.frombytes("RGB", (width, height), image.pixels.data)


def oracle(
    parts: Tiny,
    cls: type[Any],
    network: torch.nn.Module,
    scheduler: type[Any] = EulerDiscreteScheduler,
    options: dict[str, Any] | None = None,
    **call: Any,
) -> torch.Tensor:
    """Run a pipeline of diffusers, unchanged, on the same weights, texts, pictures and seed."""
    components = parts.pipeline().components
    config = {**components["scheduler"].config, "timestep_spacing": "linspace"}
    components["scheduler"] = scheduler.from_config(config, **(options or {}))
    extra = {"pag_applied_layers": ["mid"]} if cls is StableDiffusionXLControlNetPAGPipeline else {}
    pipe = cls(**components, controlnet=network, **extra)
    pipe.set_progress_bar_config(disable=True)
    texts = conditioning()
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
    assert isinstance(images, torch.Tensor)
    return images


def drawn(parts: Tiny, *networks: ControlNetModel | ControlNetUnionModel, **changes: object) -> torch.Tensor:
    live = [LiveControlNetwork(network, "lines.safetensors") for network in networks]
    return to_tensor(denoise(parts.model, request(steps=STEPS, **changes), Watcher(), live).samples)


@pytest.mark.parametrize(("sampler", "schedule", "scheduler", "options"), CASES)
@pytest.mark.parametrize("cfg", [1.0, 5.0])
def test_text_to_image(
    parts: Tiny,
    networks: tuple[ControlNetModel, ControlNetModel],
    sampler: str,
    schedule: str,
    scheduler: type[Any],
    options: dict[str, Any],
    cfg: float,
) -> None:
    cls, call = StableDiffusionXLControlNetPipeline, {"guidance_scale": cfg, "width": 64, "height": 64}
    expected = oracle(
        parts, cls, networks[0], scheduler, options, image=pil(hint()), controlnet_conditioning_scale=0.7, **call
    )
    plain = {"sampler": sampler, "schedule": schedule, "cfg": cfg}
    ours = drawn(parts, networks[0], controls=(control(hint(), 0.7),), **plain)
    assert torch.equal(ours, expected)
    assert not torch.equal(ours, drawn(parts, **plain))


@pytest.mark.parametrize("size", [(96, 64), (64, 64)])
def test_a_hint_of_another_size_is_stretched(
    parts: Tiny, networks: tuple[ControlNetModel, ControlNetModel], size: tuple[int, int]
) -> None:
    image = hint(size=(50, 120))
    width, height = size
    expected = oracle(
        parts,
        StableDiffusionXLControlNetPipeline,
        networks[0],
        image=pil(image),
        controlnet_conditioning_scale=1.0,
        guidance_scale=5.0,
        width=width,
        height=height,
    )
    assert torch.equal(drawn(parts, networks[0], controls=(control(image),), sampler="euler", size=size), expected)


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.5), (0.4, 1.0), (0.2, 0.6), (0.0, 0.1), (0.3, 0.9)])
def test_begin_and_end(
    parts: Tiny, networks: tuple[ControlNetModel, ControlNetModel], start: float, end: float
) -> None:
    expected = oracle(
        parts,
        StableDiffusionXLControlNetPipeline,
        networks[0],
        image=pil(hint()),
        controlnet_conditioning_scale=1.3,
        control_guidance_start=start,
        control_guidance_end=end,
        guidance_scale=5.0,
        width=64,
        height=64,
    )
    controls = (control(hint(), 1.3, start, end),)
    assert torch.equal(drawn(parts, networks[0], controls=controls, sampler="euler"), expected)


def test_several_add_up(parts: Tiny, networks: tuple[ControlNetModel, ControlNetModel]) -> None:
    first, second = hint(seed=1), hint(size=(32, 40), seed=2)
    expected = oracle(
        parts,
        StableDiffusionXLControlNetPipeline,
        MultiControlNetModel(networks),
        image=[pil(first), pil(second)],
        controlnet_conditioning_scale=[0.5, 0.8],
        control_guidance_start=[0.0, 0.2],
        control_guidance_end=[0.6, 1.0],
        guidance_scale=5.0,
        width=64,
        height=64,
    )
    controls = (control(first, 0.5, 0.0, 0.6), control(second, 0.8, 0.2, 1.0))
    assert torch.equal(drawn(parts, *networks, controls=controls, sampler="euler"), expected)


@pytest.mark.parametrize("cfg", [1.0, 5.0])
def test_perturbed_attention_guidance(
    parts: Tiny, networks: tuple[ControlNetModel, ControlNetModel], cfg: float
) -> None:
    expected = oracle(
        parts,
        StableDiffusionXLControlNetPAGPipeline,
        networks[0],
        image=pil(hint()),
        controlnet_conditioning_scale=0.7,
        guidance_scale=cfg,
        pag_scale=3.0,
        width=64,
        height=64,
    )
    changes = {"controls": (control(hint(), 0.7),), "cfg": cfg, "guidance": Guidance(3.0), "sampler": "euler"}
    assert torch.equal(drawn(parts, networks[0], **changes), expected)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_image_to_image(parts: Tiny, networks: tuple[ControlNetModel, ControlNetModel], strength: float) -> None:
    start = picture()
    expected = oracle(
        parts,
        StableDiffusionXLControlNetImg2ImgPipeline,
        networks[0],
        image=to_tensor(start.samples),
        control_image=pil(hint()),
        strength=strength,
        controlnet_conditioning_scale=0.7,
        control_guidance_end=0.7,
        guidance_scale=5.0,
        width=64,
        height=64,
        original_size=(64, 64),
        target_size=(64, 64),
    )
    controls = (control(hint(), 0.7, end=0.7),)
    ours = drawn(parts, networks[0], controls=controls, latents=start, denoise=strength, sampler="euler")
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("kind", [0, 3, 6])
@pytest.mark.parametrize("cfg", [1.0, 5.0])
def test_a_union_of_kinds(parts: Tiny, kind: int, cfg: float) -> None:
    network = union_net()
    expected = oracle(
        parts,
        StableDiffusionXLControlNetUnionPipeline,
        network,
        control_image=[pil(hint())],
        control_mode=[kind],
        controlnet_conditioning_scale=0.7,
        control_guidance_start=0.2,
        control_guidance_end=0.8,
        guidance_scale=cfg,
        width=64,
        height=64,
    )
    changes = {"sampler": "euler", "cfg": cfg}
    ours = drawn(parts, network, controls=(control(hint(), 0.7, 0.2, 0.8, kind),), **changes)
    assert torch.equal(ours, expected)
    other = drawn(parts, network, controls=(control(hint(), 0.7, 0.2, 0.8, (kind + 1) % 8),), **changes)
    assert not torch.equal(ours, other)


def test_a_union_for_several_pictures(parts: Tiny) -> None:
    network, lines = union_net(layers=2), hint(size=(32, 40), seed=2)
    expected = oracle(
        parts,
        StableDiffusionXLControlNetUnionPipeline,
        MultiControlNetUnionModel([network, network]),
        control_image=[pil(hint()), pil(lines)],
        control_mode=[1, 3],
        controlnet_conditioning_scale=[0.5, 0.8],
        guidance_scale=5.0,
        width=64,
        height=64,
    )
    controls = (control(hint(), 0.5, kind=1), control(lines, 0.8, kind=3))
    assert torch.equal(drawn(parts, network, network, controls=controls, sampler="euler"), expected)


def test_a_union_from_image_to_image(parts: Tiny) -> None:
    network, start = union_net(kinds=6), picture()
    expected = oracle(
        parts,
        StableDiffusionXLControlNetUnionImg2ImgPipeline,
        network,
        image=to_tensor(start.samples),
        control_image=[pil(hint())],
        control_mode=[4],
        strength=0.6,
        controlnet_conditioning_scale=0.7,
        guidance_scale=5.0,
        width=64,
        height=64,
        original_size=(64, 64),
        target_size=(64, 64),
    )
    controls = (control(hint(), 0.7, kind=4),)
    assert torch.equal(drawn(parts, network, controls=controls, latents=start, denoise=0.6, sampler="euler"), expected)
