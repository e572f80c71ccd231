"""The UNet: what it is, and what it is trained to do."""

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from nodes.sdxl.configuration import SchedulerConfig
from tools.train_nano.config import Config
from tools.train_nano.faces import face_weights
from tools.train_nano.text import TextPair
from tools.train_nano.training import Batch, Moment

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

STEPS: Final = 1000
SNR_LIMIT: Final = 5.0
OFFSET_NOISE: Final = 0.04
SIZE_WIDTH: Final = 32


def make_unet(config: Config) -> "UNet2DConditionModel":
    """Return an untrained UNet with the blocks of SDXL's."""
    from diffusers import UNet2DConditionModel

    stage, text = config.unet, config.text
    return UNet2DConditionModel(
        sample_size=config.latent,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=stage.widths,
        layers_per_block=stage.layers_per_block,
        transformer_layers_per_block=stage.depths,
        attention_head_dim=stage.heads,
        norm_num_groups=stage.groups,
        cross_attention_dim=sum(text.widths),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=SIZE_WIDTH,
        projection_class_embeddings_input_dim=6 * SIZE_WIDTH + text.widths[1],
    )


def signal_shares() -> Tensor:
    """Return how much of a picture's variance is left at each timestep [1000], for SDXL's schedule."""
    schedule = SchedulerConfig()
    betas = torch.linspace(schedule.beta_start**0.5, schedule.beta_end**0.5, STEPS, dtype=torch.float64).square()
    return torch.cumprod(1 - betas, 0).float()


class UNetLoss:
    """Predict the noise in latents, where it is told what they show.

    Min-SNR weights (arXiv:2303.09556), timesteps spread evenly over the batch, offset noise, faces weighted more.
    In a share of the samples the pooled embedding is that of the empty text: the UNet has to read the tokens.
    """

    def __init__(self, unet: "UNet2DConditionModel", pair: TextPair, latents: Tensor, config: Config) -> None:
        self.unet, self.pair, self.latents, self.stage = unet, pair, latents, config.unet
        self.signal = signal_shares().to(latents.device)
        joint = config.unet.text_from
        self.text_from = joint if joint < 1 else 2.0

    def __call__(self, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one batch."""
        clean = self.latents[batch["numbers"]].float().contiguous(memory_format=torch.channels_last)
        noise = self._noise(clean, moment.lot)
        timesteps = _spread(len(clean), moment.lot, clean.device)
        signal = self.signal[timesteps]
        share = signal[:, None, None, None]
        states, pooled = self._conditions(batch, moment)
        guess = self.unet(
            share.sqrt() * clean + (1 - share).sqrt() * noise,
            timesteps,
            states,
            added_cond_kwargs={"text_embeds": pooled, "time_ids": batch["sizes"]},
        ).sample
        error = (guess.float() - noise).square()
        ratio = signal / (1 - signal)
        weight = ratio.clamp(max=SNR_LIMIT) / ratio
        weighted = error * face_weights(batch["boxes"], clean.shape[-1], self.stage.face_weight)
        plain = (error.detach().mean((1, 2, 3)) * weight).mean()
        return (weighted.mean((1, 2, 3)) * weight).mean(), {"min-SNR loss": plain}

    def _noise(self, clean: Tensor, lot: torch.Generator) -> Tensor:
        noise = torch.randn(clean.shape, generator=lot, device=clean.device)
        offset = torch.randn((*clean.shape[:2], 1, 1), generator=lot, device=clean.device)
        return noise + OFFSET_NOISE * offset

    def _conditions(self, batch: Batch, moment: Moment) -> tuple[Tensor, Tensor]:
        """Return states and pooled embeddings; the last row of `tokens` is the empty text."""
        with torch.set_grad_enabled(moment.progress >= self.text_from):
            states, pooled = self.pair.encode(batch["tokens"])
        states, pooled, empty = states[:-1], pooled[:-1], pooled[-1:]
        dropped = torch.rand((len(pooled), 1), generator=moment.lot, device=pooled.device) < self.stage.pooled_dropped
        kept = batch["kept"][:, None]
        return states * kept[..., None], torch.where(dropped, empty, pooled) * kept


def _spread(count: int, lot: torch.Generator, device: torch.device) -> Tensor:
    """Return timesteps, one from each of as many equal parts of the schedule as there are samples."""
    order = torch.randperm(count, generator=lot, device=device)
    within = torch.rand(count, generator=lot, device=device)
    return ((order + within) / count * STEPS).long().clamp(0, STEPS - 1)
