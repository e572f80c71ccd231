"""The VAE: what it is, what it is trained to do, and how good it is."""

import random
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from tools.train_nano.config import VaeStage
from tools.train_nano.data import Pictures
from tools.train_nano.faces import face_weights, padded
from tools.train_nano.render.placement import Box, face_boxes, place_heads
from tools.train_nano.render.scene import Scene
from tools.train_nano.training import Batch, Moment

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

CHANNELS: Final = 4
LESS_NOISE: Final = 0.04
"""The most for the decoder's own training, at whose end details matter."""

ANCHOR_WEIGHT: Final = 0.1
COVARIANCE_WEIGHT: Final = 0.01
FACE_WEIGHT: Final = 2.0
NEAR_A_HEAD: Final = 0.75
SCALE_SHARE: Final = 0.3


def make_vae(stage: VaeStage, native: int) -> "AutoencoderKL":
    """Return an untrained VAE that shrinks eightfold into four channels."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=stage.widths,
        layers_per_block=stage.layers_per_block,
        norm_num_groups=stage.groups,
        sample_size=native,
        scaling_factor=1.0,
        force_upcast=False,
    )


class VaeBatches(Dataset[Batch]):
    """Item k is the batch of step k: crops, most of them near a head, or in a part of the steps whole pictures."""

    def __init__(self, pictures: Pictures, stage: VaeStage, seed: int, whole_share: float) -> None:
        self.pictures, self.stage, self.seed, self.whole_share = pictures, stage, seed, whole_share

    def __getitem__(self, step: int) -> Batch:
        """Return `pixels` [batch, 3, height, width] of uint8, and the `boxes` of the faces in them."""
        lot = random.Random(f"vae {self.seed} {step}")
        pixels = self.pictures.pixels()
        whole = lot.random() < self.whole_share
        count = self.stage.batch if whole else self.stage.crop_batch
        size = pixels.shape[1] if whole else self.stage.crop
        chosen = [lot.randrange(self.pictures.train) for _ in range(count)]
        scenes = [self.pictures.scene(number) for number in chosen]
        corners = [(0, 0) if whole else self._corner(scene, pixels.shape[1], lot) for scene in scenes]
        cut = [
            pixels[number, top : top + size, left : left + size]
            for number, (top, left) in zip(chosen, corners, strict=True)
        ]
        boxes = [
            padded(_seen(box, top, left, size, pixels.shape[1]) for box in face_boxes(scene))
            for scene, (top, left) in zip(scenes, corners, strict=True)
        ]
        batch, places = torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2), torch.tensor(boxes)
        if lot.random() < 0.5:
            batch, places = batch.flip(3), _mirrored(places)
        return {"pixels": batch, "boxes": places}

    def _corner(self, scene: Scene, edge: int, lot: random.Random) -> tuple[int, int]:
        size = self.stage.crop
        top, left = lot.randint(0, edge - size), lot.randint(0, edge - size)
        heads = place_heads(scene)
        if heads and lot.random() < NEAR_A_HEAD:
            head = lot.choice(heads)
            top = int(head.y * edge - size / 2 + lot.gauss(0, 0.16 * edge))
            left = int(head.x * edge - size / 2 + lot.gauss(0, 0.16 * edge))
        return min(max(0, top), edge - size), min(max(0, left), edge - size)


def _seen(box: Box, top: int, left: int, size: int, edge: int) -> Box:
    """Return a box as shares of a crop's edge, clipped to it."""
    low_x, low_y, high_x, high_y = (
        min(max(0.0, side), size) / size
        for side in (box[0] * edge - left, box[1] * edge - top, box[2] * edge - left, box[3] * edge - top)
    )
    return low_x, low_y, high_x, high_y


def _mirrored(boxes: Tensor) -> Tensor:
    """Return boxes [..., 4] of pictures that were flipped from left to right."""
    left, top, right, bottom = boxes.unbind(-1)
    return torch.stack((1 - right, top, 1 - left, bottom), -1)


def to_unit(pixels: Tensor) -> Tensor:
    """Return bytes as numbers from -1 to 1."""
    return pixels.float() / 127.5 - 1


def covariance(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean [channels] and covariance [channels, channels] of latents [batch, channels, height, width]."""
    rows = latents.float().transpose(0, 1).flatten(1)
    mean = rows.mean(1)
    centred = rows - mean[:, None]
    return mean, centred @ centred.T / rows.shape[1]


def whiteness_penalty(latents: Tensor) -> Tensor:
    """Return how far latents are from zero mean and unit covariance.

    In place of the usual KL term, under which two of four channels went unused.
    """
    mean, spread = covariance(latents)
    return (spread - torch.eye(len(mean), device=mean.device)).square().sum() + mean.square().sum()


def pixel_loss(drawn: Tensor, wanted: Tensor, weights: Tensor, squares: float = 0.0) -> Tensor:
    """Return the distance of pictures: by pixel, by edges, and by mean colours, without which hues are learnt late.

    Differences count with their `weights` [batch, 1, height, width], and their squares `squares` times beside them.
    """
    error = (drawn.float() - wanted) * weights
    edges = error.diff(dim=3).abs().mean() + error.diff(dim=2).abs().mean()
    colours = 1.5 * functional.avg_pool2d(error, 8).abs().mean() + 0.5 * functional.avg_pool2d(error, 4).abs().mean()
    pixels = error.abs().mean() + squares * (error.square() / weights).mean()
    return pixels + 0.4 * edges + colours


class VaeLoss:
    """What the VAE is trained for, its latents counted in units of `factor`.

    With `decoder_only` they stay as they are. An `anchor` is a VAE whose latents they are held near, so that a UNet
    that was trained on those need not begin anew.
    """

    def __init__(
        self,
        vae: "AutoencoderKL",
        stage: VaeStage,
        *,
        decoder_only: bool,
        factor: float = 1.0,
        anchor: "AutoencoderKL | None" = None,
    ) -> None:
        self.vae, self.decoder_only, self.factor, self.anchor = vae, decoder_only, factor, anchor
        self.noise = min(stage.noise, LESS_NOISE) if decoder_only else stage.noise
        self.squares = stage.squares

    def __call__(self, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one batch."""
        pictures = to_unit(batch["pixels"]).contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(not self.decoder_only):
            latents = self._encode(self.vae, pictures)
        noise = torch.randn(latents.shape, generator=moment.lot, device=latents.device)
        drawn = self.vae.decode((latents + self.noise * noise) / self.factor).sample
        weights = face_weights(batch["boxes"], pictures.shape[-1], FACE_WEIGHT)
        total = pixel_loss(drawn, pictures, weights, self.squares)
        figures = {"error": (drawn.float() - pictures).abs().mean()}
        if not self.decoder_only:
            white = whiteness_penalty(latents)
            total, figures["whiteness"] = total + COVARIANCE_WEIGHT * white, white
            if torch.rand((), generator=moment.lot, device=latents.device) < SCALE_SHARE:
                total = total + 0.5 * self._scale_error(latents, pictures)
        if self.anchor is not None:
            with torch.no_grad():
                before = self._encode(self.anchor, pictures)
            figures["moved"] = (latents - before).square().mean()
            total = total + ANCHOR_WEIGHT * figures["moved"]
        return total, figures

    def _encode(self, vae: "AutoencoderKL", pictures: Tensor) -> Tensor:
        latents: Tensor = vae.encode(pictures).latent_dist.mean.float() * self.factor
        return latents

    def _scale_error(self, latents: Tensor, pictures: Tensor) -> Tensor:
        """Return how badly shrunken latents decode to shrunken pictures: smooth latents are easier to denoise."""
        small: Tensor = self.vae.decode(functional.avg_pool2d(latents, 2) / self.factor).sample.float()
        return (small - functional.avg_pool2d(pictures, 2)).abs().mean()


@torch.no_grad()
def encode_all(vae: "AutoencoderKL", pixels: NDArray[np.uint8], device: torch.device, batch: int = 64) -> Tensor:
    """Return the latents of pictures [count, edge, edge, 3] as float32 on the processor."""
    found = []
    for start in range(0, len(pixels), batch):
        rows = torch.from_numpy(np.array(pixels[start : start + batch])).to(device)
        unit = to_unit(rows.permute(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)
        found.append(vae.encode(unit).latent_dist.mean.float().cpu())
    return torch.cat(found)


@torch.no_grad()
def measure_vae(vae: "AutoencoderKL", pixels: NDArray[np.uint8], device: torch.device) -> dict[str, float]:
    """Return the mean PSNR in dB on pictures, and the eigenvalues of the latents' covariance, smallest first."""
    ratios: list[Tensor] = []
    latents = encode_all(vae, pixels, device)
    for start in range(0, len(pixels), 16):
        drawn = vae.decode(latents[start : start + 16].to(device)).sample.float().clamp(-1, 1).cpu()
        rows = torch.from_numpy(np.array(pixels[start : start + 16]))
        error = ((drawn - to_unit(rows.permute(0, 3, 1, 2))) / 2).square().mean((1, 2, 3))
        ratios.append(-10 * error.log10())
    scaled = latents * float(vae.config.scaling_factor)
    eigenvalues = torch.linalg.eigvalsh(covariance(scaled)[1])
    named = {f"eigenvalue {number}": float(value) for number, value in enumerate(eigenvalues, 1)}
    return {"psnr": float(torch.cat(ratios).mean()), **named}
