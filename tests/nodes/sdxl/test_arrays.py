"""Arrays and tensors hold the same numbers and share no memory."""

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from hypothesis import given
from hypothesis import strategies as st

from nodes.sdxl.arrays import from_tensor, image_to_tensor, tensor_to_image, to_tensor
from nodes.values import Array, Image

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int64]


@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 1000),
    turned=st.booleans(),
)
def test_a_tensor_comes_back_bit_for_bit(shape: list[int], dtype: torch.dtype, seed: int, turned: bool) -> None:
    tensor = (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 100).abs().to(dtype)
    tensor = tensor.permute(tuple(reversed(range(tensor.ndim)))) if turned else tensor
    array = from_tensor(tensor)
    assert array.shape == tuple(tensor.shape)
    assert len(array.data) == tensor.numel() * tensor.element_size()
    back = to_tensor(array)
    assert back.dtype == dtype
    assert torch.equal(back, tensor)


def test_bytes_are_little_endian_and_row_major() -> None:
    assert from_tensor(torch.tensor([[1, 2], [3, 4]])).data == np.array([1, 2, 3, 4], "<i8").tobytes()


def test_nothing_is_shared() -> None:
    tensor = torch.zeros(3)
    array = from_tensor(tensor)
    tensor += 1
    copy = to_tensor(array)
    copy += 2
    assert to_tensor(array).tolist() == [0, 0, 0]


def test_another_dtype_can_be_asked_for() -> None:
    assert to_tensor(Array("F16", (1,), b"\x00\x3c"), dtype=torch.float64).tolist() == [1.0]


def test_a_dtype_that_arrays_do_not_have_is_refused() -> None:
    with pytest.raises(KeyError):
        from_tensor(torch.zeros(1, dtype=torch.complex64))


def test_every_pixel_survives_the_way_to_tensors_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(1, 16, 16, 3)
    image = Image(from_tensor(pixels), (5,))
    assert tensor_to_image(image_to_tensor(image), (5,)) == image


def test_pixels_are_scaled_and_rounded_like_diffusers() -> None:
    processor = VaeImageProcessor()
    tensor = torch.randn(2, 3, 24, 16, generator=torch.Generator().manual_seed(0))
    image = tensor_to_image(tensor)
    pictures = processor.postprocess(tensor, output_type="pil")
    assert image.pixels.data == np.stack([np.asarray(picture) for picture in pictures]).tobytes()
    assert torch.equal(image_to_tensor(image), processor.preprocess(pictures))
