"""The networks and what they are trained for, in miniature."""

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tools.scenes import BASE, plain
from tools.train_nano.config import FURTHER, PRESETS, SMOKE
from tools.train_nano.data import Pictures
from tools.train_nano.faces import face_weights
from tools.train_nano.render.placement import face_boxes
from tools.train_nano.start import shift_states
from tools.train_nano.text import STATE_SHIFT, CaptionBatches, make_text_pair, make_tokenizer, state_bias, tokenize
from tools.train_nano.training import Moment
from tools.train_nano.unet import UNetLoss, make_unet, signal_shares
from tools.train_nano.unet_batches import UNetBatches, told_sizes
from tools.train_nano.vae import VaeBatches, VaeLoss, covariance, make_vae, pixel_loss, to_unit, whiteness_penalty
from tools.train_nano.whitening import SDXL_FACTOR, apply_whitening, find_whitening, fold_whitening


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_whitened_latents_have_no_mean_and_unit_covariance() -> None:
    mixed = torch.einsum("dc,nchw->ndhw", torch.randn(4, 4), torch.randn(32, 4, 8, 8)) + 3
    white = apply_whitening(mixed, find_whitening(mixed))
    mean, spread = covariance(white)
    assert torch.allclose(mean, torch.zeros(4), atol=1e-4)
    assert torch.allclose(spread, torch.eye(4), atol=1e-3)
    assert whiteness_penalty(white) < 1e-4 < whiteness_penalty(mixed)


@torch.no_grad()
def test_folding_the_whitening_changes_latents_and_no_picture() -> None:
    vae = make_vae(SMOKE.vae, SMOKE.native)
    pictures = torch.rand(4, 3, 64, 64) * 2 - 1
    before = vae.encode(pictures).latent_dist.mean
    drawn = vae.decode(before).sample
    whitening = find_whitening(before)
    fold_whitening(vae, whitening)
    after = vae.encode(pictures).latent_dist.mean
    assert vae.config.scaling_factor == SDXL_FACTOR
    assert torch.allclose(after * SDXL_FACTOR, apply_whitening(before, whitening), atol=1e-3)
    assert torch.allclose(vae.decode(after).sample, drawn, atol=1e-3)
    assert vae.encode(pictures).latent_dist.std.max() < 0.1


def test_the_pixel_loss_is_zero_for_the_same_and_grows_with_the_error() -> None:
    wanted = to_unit(torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8))
    even = torch.ones(2, 1, 16, 16)
    assert pixel_loss(wanted, wanted, even) == 0
    assert 0 < pixel_loss(wanted + 0.1, wanted, even) < pixel_loss(wanted + 0.2, wanted, even)
    corner = torch.ones(2, 1, 16, 16)
    corner[:, :, :4, :4] = 3
    spoilt = wanted.clone()
    spoilt[:, :, :4, :4] += 0.1
    assert pixel_loss(spoilt, wanted, corner) == pytest.approx(3 * pixel_loss(spoilt, wanted, even).item(), rel=1e-5)

    def squared(weights: torch.Tensor) -> float:
        return (pixel_loss(spoilt, wanted, weights, squares=2.0) - pixel_loss(spoilt, wanted, weights)).item()

    share = 16 / 256
    assert squared(even) == pytest.approx(2 * 0.1**2 * share, rel=1e-3)
    assert squared(corner) == pytest.approx(3 * squared(even), rel=1e-3)


def test_face_weights_have_mean_one_and_are_larger_on_faces() -> None:
    boxes = torch.tensor([[[0.25, 0.25, 0.75, 0.75], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]]])
    weights = face_weights(boxes, 8, 1.0)
    assert weights.shape == (2, 1, 8, 8)
    assert torch.allclose(weights.mean((1, 2, 3)), torch.ones(2))
    assert weights[0, 0, 4, 4] == pytest.approx(2 * weights[0, 0, 0, 0].item())
    assert torch.equal(weights[1], torch.ones(1, 8, 8))


def test_the_schedule_is_that_of_diffusers() -> None:
    from diffusers import DDPMScheduler

    wanted = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod
    assert torch.allclose(signal_shares(), wanted, rtol=1e-4)


def test_text_encoders_read_as_sdxl_does() -> None:
    tokenizer = make_tokenizer()
    pair = make_text_pair(SMOKE.text, len(tokenizer))
    first, second = (tokenize(tokenizer, [text]) for text in ("1girl, blue hair", "1girl, red hair"))
    states, pooled = pair.encode(torch.cat([first, second]))
    assert states.shape == (2, 77, sum(SMOKE.text.widths))
    assert pooled.shape == (2, SMOKE.text.widths[1])
    assert not torch.allclose(pooled[0], pooled[1])
    outcome = pair.first(first, output_hidden_states=True).hidden_states
    assert torch.equal(outcome[-1], outcome[-2])


@torch.no_grad()
def test_shifting_the_states_changes_no_picture() -> None:
    tokens = tokenize(make_tokenizer(), ["1girl, blue hair, (hat)"])
    pair, unet = make_text_pair(SMOKE.text, len(make_tokenizer())), make_unet(SMOKE)
    state_bias(pair.first).zero_()
    state_bias(pair.second).zero_()

    def predict() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        states, pooled = pair.encode(tokens)
        told = {"text_embeds": pooled, "time_ids": torch.full((1, 6), 64.0)}
        latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        return unet(latents, 500, states, added_cond_kwargs=told).sample, states, pooled

    noise, states, pooled = predict()
    shift_states(pair.first, pair.second, unet)
    shifted = predict()
    assert torch.allclose(shifted[0], noise, atol=1e-5)
    assert torch.allclose(shifted[1], states + STATE_SHIFT, atol=1e-5)
    assert torch.allclose(shifted[2], pooled, atol=1e-5)
    shift_states(pair.first, pair.second, unet)
    assert all(torch.equal(again, before) for again, before in zip(predict(), shifted, strict=True))


def test_an_anchor_holds_latents_where_they_were() -> None:
    vae, anchor = make_vae(SMOKE.vae, SMOKE.native), make_vae(SMOKE.vae, SMOKE.native)
    anchor.load_state_dict(vae.state_dict())
    batch = {"pixels": torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8), "boxes": torch.zeros(2, 2, 4)}
    loss = VaeLoss(vae, FURTHER.vae, decoder_only=False, factor=0.5, anchor=anchor)

    def moved() -> float:
        _, figures = loss(batch, Moment(0, 0.0, torch.Generator().manual_seed(1)))
        return figures["moved"].item()

    assert moved() == 0
    with torch.no_grad():
        vae.quant_conv.bias += 2
    assert moved() == pytest.approx(1, rel=1e-4)


def test_caption_batches_mark_the_tags_that_are_in_the_text() -> None:
    batches = CaptionBatches(8, 1)
    batch = batches[3]
    assert torch.equal(batch["tokens"], batches[3]["tokens"])
    assert not torch.equal(batch["tokens"], batches[4]["tokens"])
    girl = batches.tags.index("1girl")
    decoded = batches.tokenizer.batch_decode(batch["tokens"], skip_special_tokens=True)
    assert [bool(flag) for flag in batch["tags"][:, girl]] == [
        "1 girl" in text.replace("1girl", "1 girl") for text in decoded
    ]


def test_the_boxes_of_a_cut_or_mirrored_picture_are_where_its_faces_are(tmp_path: Path) -> None:
    edge, count = 64, 24
    pictures = Pictures(tmp_path / "places.npy", seed=1, train=count, held_out=0)
    places = np.zeros((count, edge, edge, 3), np.uint8)
    places[..., 0], places[..., 1] = np.arange(edge), np.arange(edge)[:, None]
    places[..., 2] = np.arange(count)[:, None, None]
    np.save(pictures.path, places)
    batches = VaeBatches(pictures, SMOKE.vae, seed=1, whole_share=0.3)
    kinds = set()
    for step in range(20):
        batch = batches[step]
        size = batch["pixels"].shape[-1]
        for pixels, boxes in zip(batch["pixels"], batch["boxes"], strict=True):
            xs, ys = pixels[0, 0].tolist(), pixels[1, :, 0].tolist()
            mirrored = xs[0] > xs[-1]
            kinds.add((size, mirrored))
            for box, face in zip(boxes.tolist(), face_boxes(pictures.scene(int(pixels[2, 0, 0]))), strict=False):
                left, top, right, bottom = (edge * side for side in face)
                wanted = [left - min(xs), top - min(ys), right - min(xs), bottom - min(ys)]
                wanted = [min(max(side, 0), size) / size for side in wanted]
                if mirrored:
                    wanted[0], wanted[2] = 1 - wanted[2], 1 - wanted[0]
                assert box == pytest.approx(wanted, abs=1e-5)
    assert kinds == {(32, False), (32, True), (64, False), (64, True)}


def test_an_epoch_visits_every_picture_once(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path / "none.npy", seed=1, train=24, held_out=0)
    batches = UNetBatches(pictures, 64, 4, 1)
    visits = torch.cat([batches[step]["numbers"] for step in range(6)])
    assert sorted(visits.tolist()) == list(range(24))
    assert batches[0]["tokens"].shape == (5, 77)
    assert torch.equal(batches[2]["sizes"], UNetBatches(pictures, 64, 4, 1)[2]["sizes"])


def test_sizes_tell_of_crops_and_of_blur() -> None:
    cropped = dataclasses.replace(plain(), crop=(0.25, 0.125))
    assert told_sizes(cropped, 128, random.Random(1))[2:4] == [16.0, 32.0]
    blurred = dataclasses.replace(plain(BASE), defect="blurry", defect_strength=0.25)
    told = {told_sizes(blurred, 128, random.Random(salt))[0] for salt in range(40)}
    assert told == {32.0, 128.0}


def test_the_unet_loss_trains_the_unet_and_later_the_text_encoders() -> None:
    unet, pair = make_unet(SMOKE), make_text_pair(SMOKE.text, len(make_tokenizer()))
    latents = torch.randn(6, 4, SMOKE.latent, SMOKE.latent)
    loss = UNetLoss(unet, pair, latents, SMOKE)
    batch = {
        "numbers": torch.tensor([0, 3]),
        "tokens": tokenize(make_tokenizer(), ["blue hair", "hat", ""]),
        "kept": torch.tensor([1.0, 0.0]),
        "sizes": torch.full((2, 6), 64.0),
        "boxes": torch.zeros(2, 2, 4),
    }
    total, figures = loss(batch, Moment(0, 0.0, torch.Generator().manual_seed(1)))
    total.backward()  # type: ignore[no-untyped-call]
    token_weights = pair.second.get_input_embeddings().weight
    assert token_weights.grad is None
    assert figures["min-SNR loss"] > 0
    again, _ = loss(batch, Moment(0, 0.0, torch.Generator().manual_seed(1)))
    assert torch.equal(again, total)
    later, _ = loss(batch, Moment(9, 0.9, torch.Generator().manual_seed(1)))
    later.backward()  # type: ignore[no-untyped-call]
    assert token_weights.grad is not None


@pytest.mark.parametrize("preset", ["cpu", "gpu"])
def test_presets_fit_into_the_package(preset: str) -> None:
    config = PRESETS[preset]
    with torch.device("meta"):
        vae, unet = make_vae(config.vae, config.native), make_unet(config)
    pair = make_text_pair(config.text, len(make_tokenizer()))
    parts = [vae, unet, pair.first, pair.second]
    megabytes = sum(2 * parameter.numel() for part in parts for parameter in part.parameters()) / 1e6
    assert megabytes < 21.9
    assert config.native % 64 == 0
