"""The Sampler and PAG nodes: their ports, and what they ask of the loop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from engine.declaration import declare
from engine.errors import Cancelled, NovaError
from engine.testing import QuietContext
from engine.values import Handle
from nodes.pag import PAG
from nodes.sampler import Sampler
from nodes.sdxl.arrays import from_tensor, to_tensor
from nodes.sdxl.model import LiveModel
from nodes.sdxl.vae import LiveVae, encode
from nodes.values import Guidance, Image, Latents, Mask, Model, Weights
from tests.nodes.sdxl.sampling import conditioning, drawn, left_half, picture
from tests.tiny import scheduler, unet, vae

MODEL = Model(Weights("0" * 64, "tiny"), (64, 64))


class TinyPool:
    """Lends one tiny model and counts how often it is borrowed."""

    def __init__(self) -> None:
        self.live = LiveModel(unet(), dict(scheduler().config))
        self.borrowed = 0

    @contextmanager
    def resident(self, handle: Handle[Any], warn: Callable[[str], None]) -> Iterator[Any]:
        assert handle is MODEL
        self.borrowed += 1
        yield self.live

    def clear(self) -> int:
        return 0


@pytest.fixture(scope="module")
def pool() -> TinyPool:
    torch.set_num_threads(1)
    return TinyPool()


def sampler(**ports: Any) -> Sampler:
    return Sampler(**{"model": MODEL, "conditioning": conditioning(), "steps": 3, "seed": 7, **ports})


def run(pool: TinyPool, **ports: Any) -> torch.Tensor:
    return to_tensor(sampler(**ports).run(QuietContext(pool=pool)).latents.samples)


def test_left_out_ports_are_what_a_comfyui_user_expects(pool: TinyPool) -> None:
    request = Sampler(model=MODEL, conditioning=conditioning()).request()
    assert (request.sampler, request.schedule, request.denoise) == ("euler_ancestral", "normal", 1.0)
    assert (request.size, request.seeds, request.micro_batch) == ((64, 64), (0,), 1)
    assert request.time_ids == (64, 64, 0, 0, 64, 64)
    assert torch.equal(run(pool), drawn(pool.live, steps=3))


def test_guidance_from_pag_reaches_the_loop(pool: TinyPool) -> None:
    guidance = PAG(scale=3.0).run(QuietContext()).guidance
    assert guidance == Guidance(3.0, ("mid",))
    assert torch.equal(run(pool, guidance=guidance), drawn(pool.live, steps=3, guidance=Guidance(3.0)))


def test_count_gives_a_batch_of_rising_seeds(pool: TinyPool) -> None:
    latents = sampler(count=2).run(QuietContext(pool=pool)).latents
    assert latents.seeds == (7, 8)
    assert torch.equal(to_tensor(latents.samples)[1:], run(pool, seed=8))


def test_the_last_seed_is_followed_by_the_first(pool: TinyPool) -> None:
    assert sampler(seed=2**64 - 1, count=2).request().seeds == (2**64 - 1, 0)


def test_size_comes_from_ports_then_latents_then_the_model() -> None:
    assert sampler().size == (64, 64)
    assert sampler(width=96).size == (96, 64)
    wide = picture(size=(128, 96))
    assert sampler(latents=wide).size == (128, 96)
    assert sampler(latents=wide).request().time_ids == (96, 128, 0, 0, 96, 128)
    assert sampler(latents=wide, width=128).request().size == (128, 96)
    with pytest.raises(NovaError, match="do not fit"):
        sampler(latents=wide, width=64).request()


@pytest.mark.parametrize("size", [(64, 64), (71, 64), (65, 70)])
def test_a_mask_is_cut_as_the_picture_is(size: tuple[int, int]) -> None:
    width, height = size
    marks = torch.randint(0, 256, (2, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    pixels = Image(from_tensor(marks[..., None].expand(-1, -1, -1, 3)))
    seen: list[torch.Tensor] = []
    shrinking = vae()
    shrinking.encoder.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    latents = encode(LiveVae(shrinking), pixels)
    mask = sampler(latents=latents, mask=Mask(from_tensor(marks))).request().mask
    assert mask is not None
    kept = to_tensor(mask.weight).float() / 127.5 - 1
    torch.testing.assert_close(torch.cat(seen)[:, 0], kept)


def test_a_mask_of_another_picture_is_refused() -> None:
    marks = Mask(from_tensor(torch.zeros(1, 72, 64, dtype=torch.uint8)))
    with pytest.raises(NovaError, match=r"the mask of shape \[1, 72, 64\] does not fit a picture of 64x64"):
        sampler(latents=picture(), mask=marks).request()


def test_micro_conditioning_ports_reach_the_unet(pool: TinyPool) -> None:
    ports = {
        "original_width": 300,
        "original_height": 200,
        "crop_left": 5,
        "crop_top": 3,
        "target_width": 150,
        "target_height": 100,
    }
    assert sampler(**ports).request().time_ids == (200, 300, 3, 5, 100, 150)
    assert not torch.equal(run(pool, **ports), run(pool))


def test_a_batch_of_latents_gives_a_batch(pool: TinyPool) -> None:
    ports = {"latents": picture(batch=2), "denoise": 0.7, "mask": left_half()}
    request = sampler(**ports).request()
    assert request.seeds == (7, 8)
    assert run(pool, **ports).shape == (2, 4, 8, 8)


def test_one_picture_of_latents_serves_a_whole_count(pool: TinyPool) -> None:
    got = run(pool, latents=picture(), denoise=0.7, count=2)
    assert torch.equal(got[:1], run(pool, latents=picture(), denoise=0.7))
    assert not torch.equal(got[0], got[1])


def test_steps_and_previews_reach_the_context(pool: TinyPool) -> None:
    ctx = QuietContext(pool=pool)
    sampler(count=2).run(ctx)
    assert ctx.steps == [(step, 6) for step in range(1, 7)]
    assert all(preview.startswith(b"\xff\xd8") for preview in ctx.previews)
    assert len(ctx.previews) == 6


@pytest.mark.parametrize(("schedule", "warnings"), [("normal", 1), ("karras", 0)])
def test_a_schedule_that_ruins_the_picture_is_warned_of(pool: TinyPool, schedule: str, warnings: int) -> None:
    ctx = QuietContext(pool=pool)
    sampler(sampler="dpmpp_3m_sde", schedule=schedule).run(ctx)
    assert len(ctx.warnings) == warnings


def test_cancel_stops_the_node(pool: TinyPool) -> None:
    ctx = QuietContext(pool=pool, stop_after=2)
    with pytest.raises(Cancelled):
        sampler().run(ctx)
    assert ctx.steps == [(1, 3), (2, 3)]
    assert torch.equal(run(pool), drawn(pool.live, steps=3))


def test_what_does_not_fit_is_refused_before_the_model_is_loaded() -> None:
    pool = TinyPool()
    with pytest.raises(NovaError, match="no latents to keep"):
        sampler(denoise=0.5).run(QuietContext(pool=pool))
    with pytest.raises(NovaError, match="less than one step"):
        sampler(denoise=0.1, latents=picture()).run(QuietContext(pool=pool))
    assert pool.borrowed == 0


@pytest.mark.parametrize(
    ("port", "value"),
    [
        ("steps", 0),
        ("steps", 151),
        ("steps", 3.0),
        ("cfg", 0.5),
        ("cfg", 31),
        ("cfg", float("nan")),
        ("seed", -1),
        ("seed", 2**64),
        ("seed", True),
        ("count", 0),
        ("count", 65),
        ("width", 60),
        ("width", 8),
        ("height", 100_000),
        ("denoise", 0.0),
        ("denoise", 1.1),
        ("rescale", 2.0),
        ("guidance_start", -0.1),
        ("micro_batch", 0),
        ("sampler", "Euler a"),
        ("sampler", "dpm_fast"),
        ("schedule", "linear"),
        ("latents", {"samples": None}),
        ("modle", MODEL),
    ],
)
def test_ports_refuse(port: str, value: object) -> None:
    with pytest.raises(ValidationError):
        sampler(**{port: value})


@pytest.mark.parametrize("layer", ["mid", "down.1", "up.0.attentions.2", "mid.attentions.0.transformer_blocks.9"])
def test_pag_takes_layers(layer: str) -> None:
    assert PAG(layers=(layer,)).run(QuietContext()).guidance.layers == (layer,)


@pytest.mark.parametrize("layers", [(), ("middle",), ("up",), ("up.x",), (".*",), ("mid\n",), ["mid"]])
def test_pag_refuses_other_names(layers: object) -> None:
    with pytest.raises(ValidationError):
        PAG(layers=layers)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [-1.0, 101.0, float("inf")])
def test_pag_refuses_scales(scale: float) -> None:
    with pytest.raises(ValidationError):
        PAG(scale=scale)


def test_declarations() -> None:
    declared = declare(Sampler)
    assert declared.device
    assert not declare(PAG).device
    assert [name for name, port in declared.inputs.items() if port.required] == ["model", "conditioning"]
    assert all(port.description for port in (*declared.inputs.values(), *declare(PAG).inputs.values()))
    assert declared.outputs["latents"].annotation is Latents
