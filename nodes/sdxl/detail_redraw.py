"""Redrawing a crop with the model: encode, denoise under a mask, decode."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nodes.samplers import SamplerName, ScheduleName
from nodes.sdxl.denoise import DenoiseRequest, Watch, denoise
from nodes.sdxl.mask import Pixels
from nodes.sdxl.model import LiveModel
from nodes.sdxl.room import Host
from nodes.sdxl.vae import LiveVae, decode, encode
from nodes.values import Array, Conditioning, Guidance, Image, Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What every face is drawn with."""

    conditioning: Conditioning
    guidance: Guidance | None
    denoise: float
    steps: int
    cfg: float
    rescale: float
    sampler: SamplerName
    schedule: ScheduleName


class Turns:
    """Follows several runs of equal length, one after the other, as one."""

    def __init__(self, watch: Watch, turns: int) -> None:
        self._watch = watch
        self._turns = turns
        self._done = 0

    def progress(self, step: int, total: int, *, preview: Callable[[], bytes] | None = None) -> None:
        """Report a step of the current run as a step of all runs."""
        self._watch.progress(self._done * total + step, self._turns * total, preview=preview)

    def check(self) -> None:
        """Raise Cancelled if the caller asked to stop."""
        self._watch.check()

    def make_room(self) -> None:
        """Forget the models that are not in use."""
        self._watch.make_room()

    def next(self) -> None:
        """Go on to the next run."""
        self._done += 1


@dataclass(frozen=True, slots=True)
class Redrawer:
    """Draws crops anew with a loaded model, reporting steps to `turns` and what goes wrong to `host`."""

    model: LiveModel
    vae: LiveVae
    drawing: Drawing
    turns: Turns
    host: Host

    def __call__(self, pixels: Pixels, mask: Mask, seed: int) -> Pixels:
        """Return a crop [height, width, 3], edges in multiples of 8, with what the mask names drawn anew."""
        height, width, channels = pixels.shape
        crop = Image(Array("U8", (1, height, width, channels), pixels.tobytes()))
        drawing = self.drawing
        request = DenoiseRequest(
            conditioning=drawing.conditioning,
            guidance=drawing.guidance,
            seeds=(seed,),
            size=(width, height),
            steps=drawing.steps,
            cfg=drawing.cfg,
            rescale=drawing.rescale,
            sampler=drawing.sampler,
            schedule=drawing.schedule,
            denoise=drawing.denoise,
            latents=encode(self.vae, crop, host=self.host),
            mask=mask,
        )
        drawn = decode(self.vae, denoise(self.model, request, self.turns), host=self.host)
        self.turns.next()
        return np.frombuffer(drawn.pixels.data, np.uint8).reshape(pixels.shape)
