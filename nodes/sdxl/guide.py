"""Guidance: what the UNet is asked per call, and how its answers become one prediction."""

from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel

from nodes.sdxl.arrays import to_tensor
from nodes.sdxl.control import Question, Steering, Turn
from nodes.sdxl.pag import Perturbation
from nodes.sdxl.request import DenoiseRequest
from nodes.values import Prompted


@dataclass(frozen=True, slots=True)
class Text:
    """An encoded text on the device: `embeds` [1, tokens, width] and `pooled` [1, projection]."""

    embeds: torch.Tensor
    pooled: torch.Tensor


def text_of(prompted: Prompted, unet: UNet2DConditionModel) -> Text:
    """Copy an encoded text to a UNet's device and dtype."""
    embeds = to_tensor(prompted.embeds, unet.device, unet.dtype)
    return Text(embeds, to_tensor(prompted.pooled, unet.device, unet.dtype))


class Guide:
    """Asks a UNet for the guided prediction of a request; its tensors are made once per run.

    A call has up to three groups of rows, each with every picture of the micro-batch: negative, positive, perturbed.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        request: DenoiseRequest,
        perturbation: Perturbation | None,
        steering: Steering | None = None,
    ) -> None:
        self._unet = unet
        self._request = request
        self._steering = steering
        self._perturbation = perturbation
        self._positive = text_of(request.conditioning.positive, unet)
        self._negative = text_of(request.conditioning.negative, unet) if request.cfg != 1.0 else None
        self._time_ids = torch.tensor([request.time_ids], device=unet.device, dtype=unet.dtype)

    def prediction(self, latents: torch.Tensor, timestep: torch.Tensor, turn: Turn) -> torch.Tensor:
        """Return the guided prediction, F32, for the latents of a turn's pictures, brought to unit variance."""
        first, last = self._request.interval
        acting = first <= turn.begin < last
        negative = self._negative if acting else None
        perturbation = self._perturbation if acting else None
        texts = [negative] if negative else []
        texts.append(self._positive)
        if perturbation:
            texts.append(self._positive)
            perturbation.rows = len(latents)
        try:
            answers = list(self._ask(latents, timestep, texts, turn).chunk(len(texts)))
        finally:
            if perturbation:
                perturbation.rows = 0
        worse = answers.pop() if perturbation else None
        return self._combine(answers[-1], answers[0] if negative else None, worse)

    def _ask(self, latents: torch.Tensor, timestep: torch.Tensor, texts: list[Text], turn: Turn) -> torch.Tensor:
        pictures = len(latents)
        rows = torch.cat([latents] * len(texts)).to(self._unet.dtype)
        added = {
            "text_embeds": torch.cat([text.pooled.expand(pictures, -1) for text in texts]),
            "time_ids": self._time_ids.expand(len(rows), -1),
        }
        embeds = torch.cat([text.embeds.expand(pictures, -1, -1) for text in texts])
        question = Question(rows, timestep, embeds, added)
        residuals = None if self._steering is None else self._steering.residuals(question, turn)
        answer: torch.Tensor = self._unet(
            rows,
            timestep,
            encoder_hidden_states=embeds,
            added_cond_kwargs=added,
            down_block_additional_residuals=None if residuals is None else residuals.down,
            mid_block_additional_residual=None if residuals is None else residuals.mid,
            return_dict=False,
        )[0]
        return answer.float()

    def _combine(
        self, positive: torch.Tensor, negative: torch.Tensor | None, perturbed: torch.Tensor | None
    ) -> torch.Tensor:
        guided = positive
        if negative is not None:
            guided = negative + self._request.cfg * (positive - negative)
        if perturbed is not None:
            guided = guided + self._request.pag_scale * (positive - perturbed)
        if negative is not None and self._request.rescale:
            guided = rescaled(guided, positive, self._request.rescale)
        return guided


def rescaled(guided: torch.Tensor, positive: torch.Tensor, amount: float) -> torch.Tensor:
    """Bring the spread of a guided prediction back towards the unguided one's (Lin et al. 2023, section 3.4).

    Cures the overexposure that strong guidance causes in v-prediction models; `amount` 1 restores it fully.
    """
    inner = list(range(1, guided.ndim))
    matched = guided * (positive.std(dim=inner, keepdim=True) / guided.std(dim=inner, keepdim=True))
    return amount * matched + (1 - amount) * guided
