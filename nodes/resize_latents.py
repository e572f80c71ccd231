"""Latents to another size."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.context import Context
from engine.node import Node, Output
from nodes.fitting import Fitting
from nodes.values import Latents

Side = Annotated[int | None, Field(ge=64, le=8192, multiple_of=8)]


class LatentsResized(Output):
    """The latents at their new size."""

    latents: Latents


class ResizeLatents(Node[LatentsResized]):
    """Resize latents between two samplers, without decoding them: ComfyUI's LatentUpscale, A1111's latent upscalers.

    What comes out is blurred or blocky and wants a second sampler with `denoise` from 0.5 to 0.7 on it. With a smaller
    one, decode, enlarge the picture and encode it instead.
    """

    device: ClassVar[bool] = True

    latents: Latents
    width: Annotated[Side, Field(description="Of the picture, in pixels; empty follows the height.")] = None
    height: Annotated[Side, Field(description="Of the picture, in pixels; empty follows the width.")] = None
    scale: Annotated[float, Field(gt=0, le=8, description="How many times larger; counts on top.")] = 1.0
    resize: Fitting = "crop"
    method: Annotated[
        Literal["nearest-exact", "bilinear", "bicubic"], Field(description="How latents are interpolated.")
    ] = "nearest-exact"

    def run(self, ctx: Context) -> LatentsResized:
        """Resize each picture's latents."""
        from nodes.pictures.resize import target_size
        from nodes.sdxl.resize_latents import resize_latents

        height, width = (8 * edge for edge in self.latents.samples.shape[2:])
        size = target_size((width, height), self.width, self.height, self.scale, self.resize)
        return LatentsResized(latents=resize_latents(self.latents, size, self.method, crop=self.resize == "crop"))
