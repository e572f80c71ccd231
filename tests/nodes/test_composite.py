"""The nodes Composite and MaskFromImage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import NovaError
from nodes.composite import Composite
from nodes.mask_from_image import MaskFromImage
from nodes.pictures.batches import single_mask
from nodes.values import Array, Image, Mask
from tests.nodes.pictures.samples import RunningAlone, noise_image


def pixels(image: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.frombuffer(image.pixels.data, np.uint8).reshape(image.pixels.shape)


def grey(value: int, width: int = 24, height: int = 16, count: int = 1, seeds: tuple[int, ...] = ()) -> Image:
    return Image(Array("U8", (count, height, width, 3), bytes([value]) * (count * height * width * 3)), seeds)


def half(width: int = 24, height: int = 16) -> Mask:
    """White on the right."""
    row = bytes(width // 2) + bytes([255]) * (width - width // 2)
    return single_mask(width, height, row * height)


def compose(below: Image, above: Image, mask: Mask, blur: float = 0) -> Image:
    return Composite(below=below, above=above, mask=mask, blur=blur).run(RunningAlone()).image


def test_each_side_of_a_hard_edge_keeps_its_bits() -> None:
    below, above = noise_image(), grey(9)
    made = pixels(compose(below, above, half()))
    assert (made[:, :, :12] == pixels(below)[:, :, :12]).all()
    assert (made[:, :, 12:] == 9).all()


@given(st.floats(0, 3))
def test_what_a_soft_edge_does_not_reach_keeps_its_bits(blur: float) -> None:
    below, above = noise_image(64, 16), grey(200, 64)
    made = pixels(compose(below, above, half(64), blur))
    assert (made[:, :, :20] == pixels(below)[:, :, :20]).all()
    assert (made[:, :, 44:] == 200).all()


def test_a_soft_edge_goes_over_evenly() -> None:
    row = pixels(compose(grey(0, 64), grey(200, 64), half(64), 4))[0, 8, :, 0]
    assert (np.diff(row.astype(int)) >= 0).all()
    assert 60 < row[31] < 140


def test_one_ground_and_one_mask_do_for_a_batch_and_seeds_stay() -> None:
    above = Image(Array("U8", (2, 16, 24, 3), grey(1).pixels.data + grey(2).pixels.data), (7, 8))
    made = compose(noise_image(), above, half())
    assert made.seeds == (7, 8)
    assert [pixels(made)[place, 0, 20, 0] for place in (0, 1)] == [1, 2]


def test_what_was_drawn_from_a_cut_picture_lies_where_it_was_cut() -> None:
    below, above = grey(0, 29, 16), grey(200, 24, 16)
    made = pixels(compose(below, above, single_mask(29, 16, bytes([255]) * (29 * 16))))
    assert made.shape == (1, 16, 29, 3)
    assert (made[0, 0, :, 0] == [0] * 2 + [200] * 24 + [0] * 3).all()


@pytest.mark.parametrize(
    ("below", "above", "mask", "message"),
    [
        (grey(0), grey(0, 32, 32), half(), "the picture above is 32x32, the picture below 24x16"),
        (grey(0), grey(0), half(32, 16), "the mask is 32x16, the picture below 24x16"),
        (grey(0, count=2), grey(0, count=3), half(), "below has 2 pictures where there are 3"),
    ],
)
def test_what_does_not_fit_is_told(below: Image, above: Image, mask: Mask, message: str) -> None:
    with pytest.raises(NovaError, match=message):
        compose(below, above, mask)


def test_white_is_repainted_and_black_kept_or_the_other_way_round() -> None:
    picture = Image(Array("U8", (1, 1, 3, 3), bytes([255] * 3 + [0] * 3 + [128] * 3)))
    assert list(MaskFromImage(image=picture).run(RunningAlone()).mask.weight.data) == [255, 0, 128]
    turned = MaskFromImage(image=picture, invert=True).run(RunningAlone()).mask
    assert list(turned.weight.data) == [0, 255, 127]
    assert turned.weight.shape == (1, 1, 3)
