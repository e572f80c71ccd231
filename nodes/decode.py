"""Latents to pixels."""

from typing import Annotated, ClassVar

from pydantic import Field

from engine.context import Context
from engine.node import Node, Output
from nodes.values import Image, Latents, Vae


class Decoded(Output):
    """The pictures."""

    image: Image


class Decode(Node[Decoded]):
    """Decode latents into an image.

    Where a picture does not fit into memory, models that are not in use are forgotten, then tiles are tried; a picture
    that was made of tiles without your asking is not cached, since it can be told from a whole one. Set `tile` to have
    tiles at once. Pictures of a batch are decoded one at a time.
    """

    version: ClassVar[int] = 1
    device: ClassVar[bool] = True

    vae: Vae
    latents: Latents
    tile: Annotated[int | None, Field(ge=256, le=4096, multiple_of=64, description="Tile edge in pixels.")] = None

    def run(self, ctx: Context) -> Decoded:
        """Decode each picture."""
        from nodes.sdxl.vae import decode

        with ctx.resident(self.vae) as vae:
            return Decoded(image=decode(vae, self.latents, tile=self.tile, host=ctx))
