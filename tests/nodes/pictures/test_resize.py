from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.pictures.batches import Picture, join_pictures, split_image
from nodes.pictures.resize import Fit, resize_picture, target_size
from tests.nodes.pictures.samples import noise_image

SIDES = st.one_of(st.none(), st.integers(1, 256).map(lambda number: number * 8))


def test_nothing_asked_changes_nothing() -> None:
    assert target_size((101, 77), None, None) == (101, 77)
    picture = Picture(3, 1, bytes(9))
    assert resize_picture(picture, (3, 1), "crop") is picture


def test_sizes() -> None:
    assert target_size((100, 52), 200, None) == (200, 104)
    assert target_size((100, 50), None, 200) == (400, 200)
    assert target_size((100, 50), 64, 64) == (64, 64)
    assert target_size((100, 50), 64, 64, fit="fit") == (64, 32)
    assert target_size((100, 50), 64, 64, scale=1.5, fit="stretch") == (96, 96)
    assert target_size((128, 64), None, None, scale=1.5) == (192, 96)


@given(
    own=st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
    sides=st.tuples(SIDES, SIDES),
    scale=st.floats(0.01, 8),
    fit=st.sampled_from(get_args(Fit)),
)
def test_sizes_stay_in_bounds_and_on_the_grid(
    own: tuple[int, int], sides: tuple[int | None, int | None], scale: float, fit: Fit
) -> None:
    size = target_size(own, *sides, scale=scale, fit=fit)
    assert size == own or all(8 <= side <= 8192 and side % 8 == 0 for side in size)


def test_crop_cuts_evenly_and_stretch_does_not_cut() -> None:
    rgb = bytes([255, 0, 0]) * 4 + bytes([0, 255, 0]) * 8 + bytes([0, 0, 255]) * 4
    stripes = Picture(16, 8, rgb * 8)
    cropped = resize_picture(stripes, (8, 8), "crop", "nearest")
    assert cropped.rgb == bytes([0, 255, 0]) * 64
    stretched = resize_picture(stripes, (8, 8), "stretch", "nearest")
    assert stretched.rgb[:3] == bytes([255, 0, 0])
    assert stretched.rgb[-3:] == bytes([0, 0, 255])


def test_pictures_of_a_batch_go_and_come() -> None:
    image = noise_image(count=3, seeds=(1, 2, 3))
    assert join_pictures(split_image(image), image.seeds) == image


def test_pictures_of_different_sizes_make_no_batch() -> None:
    with pytest.raises(ValueError, match="one size"):
        join_pictures([Picture(1, 1, bytes(3)), Picture(2, 1, bytes(6))])
