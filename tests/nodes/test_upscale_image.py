"""The UpscaleImage node: sizes, limits, and the file it names."""

from pathlib import Path

import pytest
from PIL import Image as Pictures

from engine.assets import Asset, Found
from engine.errors import AssetMissing, Cancelled, NovaError
from engine.testing import QuietContext
from nodes.sdxl.pool import Pool
from nodes.upscale_image import UpscaleImage
from nodes.values import Image
from tests.nodes.pictures.samples import noise_image
from tests.nodes.sdxl.loading import WEIGHTS, loading
from tests.nodes.sdxl.upscalers import compact, written


def context(folder: Path, factor: int = 4, stop_after: int | None = None) -> QuietContext:
    path = written(folder / "4x-tiny.safetensors", compact(factor))
    found = Found(Asset("upscaler", "4x-tiny"), path, WEIGHTS.sha256)
    return QuietContext(pool=Pool(10**9, loading(path)), assets={"upscaler": found}, stop_after=stop_after)


def pixels(image: Image) -> Pictures.Image:
    _, height, width, _ = image.pixels.shape
    return Pictures.frombytes("RGB", (width, height), image.pixels.data)


def test_without_a_scale_pictures_grow_by_the_upscalers_own_factor(tmp_path: Path) -> None:
    image = noise_image(27, 21, count=2, seeds=(7, 8))
    ctx = context(tmp_path)
    larger = UpscaleImage(image=image, upscaler="4x-tiny").run(ctx).image
    assert larger.pixels.shape == (2, 84, 108, 3)
    assert larger.seeds == (7, 8)
    assert ctx.steps == [(1, 2), (2, 2)]


@pytest.mark.parametrize(("scale", "size"), [(1.5, (40, 24)), (2.0, (48, 40)), (6.0, (160, 120)), (0.1, (8, 8))])
def test_a_scale_is_reached_with_lanczos_as_in_a1111(tmp_path: Path, scale: float, size: tuple[int, int]) -> None:
    image = noise_image(27, 20)
    ctx = context(tmp_path)
    own = UpscaleImage(image=image, upscaler="4x-tiny").run(ctx).image
    scaled = UpscaleImage(image=image, upscaler="4x-tiny", scale=scale).run(ctx).image
    assert pixels(scaled).size == size
    assert pixels(scaled).tobytes() == pixels(own).resize(size, Pictures.Resampling.LANCZOS).tobytes()


def test_a_factor_larger_than_allowed_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    with pytest.raises(NovaError, match="4x-tiny makes pictures 4 times larger, more than 2 times") as caught:
        UpscaleImage(image=noise_image(), upscaler="4x-tiny", max_factor=2).run(ctx)
    assert "Set max_factor to 4" in caught.value.hint
    assert ctx.steps == []


@pytest.mark.parametrize(("scale", "width"), [(None, 2049), (1.0, 2049), (8.0, 1025)])
def test_pictures_that_would_be_too_large_are_refused_before_anything_is_drawn(
    tmp_path: Path, scale: float | None, width: int
) -> None:
    ctx = context(tmp_path)
    with pytest.raises(NovaError, match="sides may have 8192 pixels"):
        UpscaleImage(image=noise_image(width, 8), upscaler="4x-tiny", scale=scale).run(ctx)
    assert ctx.steps == []


def test_it_can_be_cancelled_between_tiles(tmp_path: Path) -> None:
    ctx = context(tmp_path, factor=2, stop_after=1)
    with pytest.raises(Cancelled):
        UpscaleImage(image=noise_image(100, 16), upscaler="4x-tiny", tile=64).run(ctx)
    assert ctx.steps == [(1, 3)]


def test_none_is_no_upscaler() -> None:
    ctx = QuietContext(assets={"upscaler": Found(Asset("upscaler", "none"), None, "")})
    with pytest.raises(AssetMissing, match="'none' names no upscaler"):
        UpscaleImage(image=noise_image(), upscaler="none").run(ctx)
