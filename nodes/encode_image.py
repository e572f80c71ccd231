"""Pixels to latents."""

from typing import Annotated, ClassVar

from pydantic import Field

from engine.context import Context
from engine.node import Node, Output
from nodes.values import Image, Latents, Vae


class Encoded(Output):
    """The pictures as latents."""

    latents: Latents


class EncodeImage(Node[Encoded]):
    """Encode an image into latents, for image-to-image and inpainting.

    The same picture always gives the same latents. Edges that are no multiples of 8 pixels are cut evenly.
    """

    version: ClassVar[int] = 1
    device: ClassVar[bool] = True

    vae: Vae
    image: Image
    tile: Annotated[int | None, Field(ge=256, le=4096, multiple_of=64, description="Tile edge in pixels.")] = None

    def run(self, ctx: Context) -> Encoded:
        """Encode each picture."""
        from nodes.sdxl.vae import encode

        with ctx.resident(self.vae) as vae:
            return Encoded(latents=encode(vae, self.image, tile=self.tile, host=ctx))
