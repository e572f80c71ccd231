"""Pictures made larger by a network."""

from typing import Annotated, ClassVar

from pydantic import Field

from engine.assets import AssetPort, Found
from engine.context import Context
from engine.errors import AssetMissing, NovaError
from engine.node import Node, Output
from nodes.values import Image, Upscaler, Weights


class ImageUpscaled(Output):
    """The pictures, larger."""

    image: Image


class UpscaleImage(Node[ImageUpscaled]):
    """Make pictures larger with an upscaler such as 4x-AnimeSharp or RealESRGAN_x4plus_anime_6B.

    Without `scale` they grow by the upscaler's own factor. With it they are brought to that size afterwards with
    Lanczos, sides rounded down to multiples of 8 pixels, as A1111 does; beyond its own factor an upscaler is not used
    twice. Pictures are made in tiles that overlap by 32 pixels, in single precision. Where a tile does not fit into
    memory, smaller ones are tried, and the picture is not cached.
    """

    device: ClassVar[bool] = True

    image: Annotated[Image, Field(description="Pictures to make larger.")]
    upscaler: Annotated[str, AssetPort("upscaler"), Field(description="A path, or a name in models.lock.")]
    scale: Annotated[
        float | None, Field(gt=0, le=8, description="How many times larger; empty: the upscaler's own factor.")
    ] = None
    tile: Annotated[int, Field(ge=64, le=2048, multiple_of=16, description="Tile edge in pixels.")] = 512
    max_factor: Annotated[
        int, Field(ge=2, le=16, description="Refuse upscalers of a larger factor; the HTTP service counts with it.")
    ] = 4

    def run(self, ctx: Context) -> ImageUpscaled:
        """Make each picture of the batch larger; raises NovaError where it would be too large."""
        from nodes.pictures.batches import join_pictures, split_image
        from nodes.pictures.resize import resize_picture, scaled_down_to_grid
        from nodes.sdxl.upscale import upscale

        _, height, width, _ = self.image.pixels.shape
        with ctx.resident(upscaler_in(ctx.asset("upscaler"))) as live:
            self._require_factor(live.factor)
            self._require_room(width, height, max(live.factor, self.scale or 0))
            larger = upscale(live, self.image, tile=self.tile, watch=ctx)
        if self.scale is None:
            return ImageUpscaled(image=larger)
        size = scaled_down_to_grid((width, height), self.scale)
        pictures = [resize_picture(picture, size, "stretch", "lanczos") for picture in split_image(larger)]
        return ImageUpscaled(image=join_pictures(pictures, larger.seeds))

    def _require_factor(self, factor: int) -> None:
        if factor > self.max_factor:
            raise NovaError(
                f"the upscaler {self.upscaler} makes pictures {factor} times larger, more than {self.max_factor} times",
                hint=f"Set max_factor to {factor}, or use another upscaler.",
            )

    def _require_room(self, width: int, height: int, times: float) -> None:
        from nodes.pictures.resize import MAX_SIDE

        if max(width, height) * times > MAX_SIDE:
            raise NovaError(
                f"a picture of {width}x{height} would become {times * width:.0f}x{times * height:.0f}; "
                f"sides may have {MAX_SIDE} pixels",
                hint="Make the picture smaller first, with ResizeImage, or use an upscaler of a smaller factor.",
            )


def upscaler_in(found: Found) -> Upscaler:
    """Return the handle of the upscaler in a file; raises AssetMissing where there is none."""
    if found.path is None:
        raise AssetMissing(f"{found.asset.name!r} names no upscaler", hint="Write a path, or a name in models.lock.")
    return Upscaler(Weights(found.sha256, found.path.name))
