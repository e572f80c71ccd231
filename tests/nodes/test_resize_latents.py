"""The ResizeLatents node: the numbers of torch, the sizes and cuts of ComfyUI."""

from typing import Literal

import pytest
import torch

from engine.testing import QuietContext
from nodes.resize_latents import ResizeLatents
from nodes.sdxl.arrays import from_tensor, to_tensor
from nodes.values import Latents

Method = Literal["nearest-exact", "bilinear", "bicubic"]
METHODS: tuple[Method, ...] = ("nearest-exact", "bilinear", "bicubic")


def noise(height: int, width: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(0))


def latents(samples: torch.Tensor) -> Latents:
    return Latents(from_tensor(samples), tuple(range(len(samples))))


@pytest.mark.parametrize("method", METHODS)
def test_a_scale_gives_the_numbers_of_torch(method: Method) -> None:
    samples = noise(16, 12, batch=2)
    resized = ResizeLatents(latents=latents(samples), scale=1.5, method=method).run(QuietContext()).latents
    expected = torch.nn.functional.interpolate(samples, size=(24, 18), mode=method)
    assert torch.equal(to_tensor(resized.samples), expected)
    assert resized.seeds == (0, 1)


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((128, 128), (slice(0, 16), slice(4, 20))),
        ((256, 128), (slice(2, 14), slice(0, 24))),
        ((64, 256), (slice(0, 16), slice(10, 14))),
    ],
)
def test_what_has_another_shape_is_cut_evenly(size: tuple[int, int], kept: tuple[slice, slice]) -> None:
    samples = noise(16, 24)
    node = ResizeLatents(latents=latents(samples), width=size[0], height=size[1], method="bilinear")
    cut = samples[..., kept[0], kept[1]]
    expected = torch.nn.functional.interpolate(cut, size=(size[1] // 8, size[0] // 8), mode="bilinear")
    assert torch.equal(to_tensor(node.run(QuietContext()).latents.samples), expected)


@pytest.mark.parametrize(("resize", "shape"), [("stretch", (32, 16)), ("fit", (11, 16)), ("crop", (32, 16))])
def test_ways_to_another_shape(resize: Literal["crop", "fit", "stretch"], shape: tuple[int, int]) -> None:
    node = ResizeLatents(latents=latents(noise(16, 24)), width=128, height=256, resize=resize)
    assert node.run(QuietContext()).latents.samples.shape == (1, 4, *shape)


def test_a_side_that_is_left_out_follows_the_other() -> None:
    node = ResizeLatents(latents=latents(noise(16, 24)), width=384)
    assert node.run(QuietContext()).latents.samples.shape == (1, 4, 32, 48)


def test_a_thin_strip_keeps_one_row_at_least() -> None:
    node = ResizeLatents(latents=latents(noise(2, 2)), width=8192, height=64)
    assert node.run(QuietContext()).latents.samples.shape == (1, 4, 8, 1024)


def test_half_precision_stays_half_precision() -> None:
    node = ResizeLatents(latents=latents(noise(8, 8).half()), scale=2.0, method="bicubic")
    resized = to_tensor(node.run(QuietContext()).latents.samples)
    expected = torch.nn.functional.interpolate(noise(8, 8).half().float(), size=(16, 16), mode="bicubic").half()
    assert torch.equal(resized, expected)
