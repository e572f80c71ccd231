"""The FaceDetailer node, with the embedded model on pictures it drew itself."""

from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from engine.declaration import declare
from engine.errors import AssetMissing, Cancelled, NovaError
from engine.testing import QuietContext
from nodes.decode import Decode
from nodes.encoder import Encoder
from nodes.face_detailer import FaceDetailer
from nodes.sampler import Sampler
from nodes.sdxl.detail import Framing
from nodes.sdxl.detail_redraw import Drawing
from nodes.sdxl.pool import Pool
from nodes.values import Box, Boxes, Conditioning, Guidance, Image, Model, TextEncoders, Vae, Weights
from tests.nodes.sdxl.detectors import batch
from tests.nodes.sdxl.loading import FileLoading

NANO = Weights("0" * 64, "nova-nano.safetensors")
MODEL, VAE = Model(NANO, (128, 128)), Vae(NANO)
PROMPT = "1girl, black hair, long hair, red eyes, white background, upper body, blue shirt"
FOUND = (Box(35.0, 20.0, 86.0, 78.0, 0.9),)
"""About where the face of an upper body is."""


@cache
def pool() -> Pool:
    torch.set_num_threads(1)
    path = Path(str(files("nodes.sdxl").joinpath("nano/nova-nano.safetensors")))
    return Pool(10**9, FileLoading({NANO.sha256: path}))


def context(stop_after: int | None = None) -> QuietContext:
    return QuietContext(pool=pool(), stop_after=stop_after)


@cache
def conditioning() -> Conditioning:
    node = Encoder(text_encoders=TextEncoders(NANO), prompt=PROMPT, negative="worst quality, lowres, blurry")
    return node.run(context()).conditioning


@cache
def drawn(seed: int = 2) -> Image:
    """Return a picture of an upper body, drawn by the embedded model."""
    sampler = Sampler(model=MODEL, conditioning=conditioning(), seed=seed, steps=25)
    return Decode(vae=VAE, latents=sampler.run(context()).latents).run(context()).image


def detailer(image: Image, *boxes: tuple[Box, ...], **options: object) -> FaceDetailer:
    inputs = {"image": image, "boxes": Boxes(boxes), "model": MODEL, "vae": VAE, "conditioning": conditioning()}
    return FaceDetailer.model_validate({**inputs, "steps": 10, **options})


def pixels(image: Image) -> NDArray[np.int64]:
    return np.frombuffer(image.pixels.data, np.uint8).reshape(image.pixels.shape).astype(np.int64)


def joined(*images: Image) -> Image:
    seeds = tuple(seed for image in images for seed in image.seeds)
    return batch(*(pixels(image)[0].astype(np.uint8) for image in images), seeds=seeds)


def test_only_the_face_changes() -> None:
    refined = detailer(drawn(), FOUND).run(context()).image
    assert refined.seeds == drawn().seeds
    change = np.abs(pixels(refined)[0] - pixels(drawn())[0]).sum(-1)
    assert change[30:70, 45:75].mean() > 5
    reach = 8
    change[20 - reach : 78 + reach, 35 - reach : 86 + reach] = 0
    assert change.max() == 0


def detail_of(image: Image) -> float:
    """Return how much neighbouring pixels differ inside the face."""
    face = pixels(image)[0, 25:75, 40:82]
    return float(np.abs(np.diff(face, axis=0)).mean() + np.abs(np.diff(face, axis=1)).mean())


@pytest.mark.parametrize("seed", [2, 3])
def test_a_refined_face_has_more_detail(seed: int) -> None:
    refined = detailer(drawn(seed), FOUND, steps=25, seed=seed).run(context()).image
    assert detail_of(refined) > 1.1 * detail_of(drawn(seed))


def test_without_faces_the_image_is_the_same_and_nothing_is_loaded() -> None:
    without_pool = QuietContext()
    nowhere = (Box(500.0, 500.0, 600.0, 600.0, 0.9), Box(9.0, 9.0, 9.0, 40.0, 0.9))
    assert detailer(drawn(), ()).run(without_pool).image is drawn()
    assert detailer(drawn(), nowhere, dilate=0).run(without_pool).image is drawn()
    with pytest.raises(AssetMissing):
        detailer(drawn(), FOUND).run(without_pool)


def test_the_same_seed_gives_the_same_bits() -> None:
    first = detailer(drawn(), FOUND, seed=5).run(context()).image
    assert detailer(drawn(), FOUND, seed=5).run(context()).image == first
    assert detailer(drawn(), FOUND, seed=6).run(context()).image != first


def test_picture_k_of_a_batch_is_refined_as_it_would_be_alone() -> None:
    boxes = (FOUND, (), (Box(50.0, 30.0, 80.0, 60.0, 0.8), Box(30.0, 60.0, 60.0, 90.0, 0.7)))
    images = [drawn(seed) for seed in (2, 3, 4)]
    together = detailer(joined(*images), *boxes, seed=20).run(context()).image
    alone = [
        detailer(image, own, seed=20 + k).run(context()).image
        for k, (image, own) in enumerate(zip(images, boxes, strict=True))
    ]
    assert together == joined(*alone)


def test_one_face_differs_from_the_next_unless_told_otherwise() -> None:
    twice = (FOUND[0], FOUND[0])
    once = detailer(drawn(), FOUND, seed=5).run(context()).image
    again = detailer(once, FOUND, seed=6).run(context()).image
    same = detailer(once, FOUND, seed=5).run(context()).image
    assert detailer(drawn(), twice, seed=5).run(context()).image == again
    assert detailer(drawn(), twice, seed=5, same_seed=True).run(context()).image == same


def test_progress_counts_the_steps_of_all_faces() -> None:
    ctx = context()
    boxes = (FOUND[0], Box(0.0, 0.0, 30.0, 30.0, 0.4))
    detailer(joined(drawn(2), drawn(3)), boxes, FOUND, steps=10, denoise=0.5).run(ctx)
    assert ctx.steps == [(step, 15) for step in range(1, 16)]
    assert all(preview.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF")) for preview in ctx.previews)


@pytest.mark.parametrize("after", [1, 4, 7])
def test_a_run_can_be_stopped_between_steps(after: int) -> None:
    ctx = context(stop_after=after)
    with pytest.raises(Cancelled):
        detailer(drawn(), (FOUND[0], FOUND[0]), denoise=0.4).run(ctx)
    assert len(ctx.steps) == after
    assert all(resident.users == 0 for resident in pool().report())


def test_guidance_and_prompt_reach_the_face() -> None:
    plain = detailer(drawn(), FOUND).run(context()).image
    other = Encoder(text_encoders=TextEncoders(NANO), prompt="1girl, closed eyes").run(context()).conditioning
    assert detailer(drawn(), FOUND, guidance=Guidance(3.0)).run(context()).image != plain
    assert detailer(drawn(), FOUND, conditioning=other).run(context()).image != plain


def test_defaults_are_those_of_adetailer() -> None:
    """As they stand in its `adetailer/args.py`; only cfg, 7.0 there, is that of Sampler."""
    noted = {name: port.default for name, port in declare(FaceDetailer).inputs.items() if not port.required}
    assert noted == {
        "guidance": None,
        "denoise": 0.4,
        "steps": 28,
        "cfg": 5.0,
        "rescale": 0.0,
        "sampler": "euler_ancestral",
        "schedule": "normal",
        "seed": 0,
        "same_seed": False,
        "padding": 32,
        "mask_blur": 4.0,
        "dilate": 4,
        "x_offset": 0,
        "y_offset": 0,
        "size": None,
        "only_masked": True,
        "merge": "none",
    }


def test_options_reach_what_faces_are_cut_and_drawn_with() -> None:
    distances = {
        "padding": 7,
        "mask_blur": 2.5,
        "dilate": -3,
        "x_offset": 11,
        "y_offset": 5,
        "only_masked": False,
        "merge": "merge",
    }
    node = detailer(batch(np.zeros((64, 64, 3), np.uint8)), (), **distances, size=512, cfg=3.0, rescale=0.7)
    assert node.framing() == Framing(
        native=(128, 128), size=512, padding=7, blur=2.5, dilate=-3, shift=(11, -5), only_masked=False, merge="merge"
    )
    other = node.model_copy(update={"sampler": "dpmpp_2m", "schedule": "karras", "denoise": 0.3, "steps": 20})
    assert other.drawing() == Drawing(
        conditioning=conditioning(),
        guidance=None,
        denoise=0.3,
        steps=20,
        cfg=3.0,
        rescale=0.7,
        sampler="dpmpp_2m",
        schedule="karras",
    )


def test_the_mask_moves_with_its_offsets() -> None:
    """To the right and up, where they are positive, as in ADetailer."""
    far = {"x_offset": 256, "y_offset": 128}  # 32 and 16 pixels of a model whose native edge is 128
    box = Box(40.0, 60.0, 60.0, 80.0, 0.9)
    refined = detailer(drawn(), (box,), denoise=0.9, mask_blur=0.0, dilate=0, **far).run(context()).image
    change = np.abs(pixels(refined)[0] - pixels(drawn())[0]).sum(-1)
    assert change[44:64, 72:92].mean() > 1
    change[44:64, 72:92] = 0
    assert change.max() == 0


@pytest.mark.parametrize("options", [{"size": 64}, {"size": 192}, {"only_masked": False}, {"padding": 128}])
def test_every_way_of_cutting_keeps_the_rest(options: dict[str, object]) -> None:
    image = batch(pixels(drawn())[0, :100, :111].astype(np.uint8))
    refined = detailer(image, FOUND, steps=5, **options).run(context()).image
    change = np.abs(pixels(refined)[0] - pixels(image)[0]).sum(-1)
    assert change[30:70, 45:75].mean() > 1
    assert change[:10].max() == change[:, :20].max() == change[90:].max() == 0


def test_all_but_the_face_is_drawn_anew() -> None:
    ctx = context()
    image = joined(drawn(2), drawn(3))
    refined = detailer(image, (*FOUND, *FOUND), (), merge="invert", mask_blur=0.0, dilate=0).run(ctx).image
    change = np.abs(pixels(refined) - pixels(image)).sum(-1)
    assert change[0, 20:78, 35:86].max() == 0
    assert change[0, 90:].mean() > 1
    assert change[1].max() == 0
    assert ctx.steps[-1] == (4, 4)


def test_boxes_of_another_batch_are_refused() -> None:
    with pytest.raises(NovaError, match="boxes for 2 pictures but the batch has 1"):
        detailer(drawn(), FOUND, FOUND).run(context())


@pytest.mark.parametrize(("steps", "denoise", "expected"), [(2, 0.4, 1), (1, 0.1, 1), (9, 0.1, 1), (10, 0.4, 4)])
def test_at_least_one_step_is_run(steps: int, denoise: float, expected: int) -> None:
    ctx = context()
    refined = detailer(drawn(), FOUND, steps=steps, denoise=denoise).run(ctx).image
    assert ctx.steps == [(step, expected) for step in range(1, expected + 1)]
    assert refined.pixels != drawn().pixels


@pytest.mark.parametrize(
    "wrong", [{"denoise": 0.0}, {"steps": 0}, {"size": 100}, {"denoise": True}, {"seed": -1}, {"boxes": {}}]
)
def test_ports_have_bounds(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        detailer(drawn(), FOUND, **wrong)
