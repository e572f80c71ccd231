"""The nodes Canny and Invert, which make pictures that ControlNets follow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.errors import NovaError
from nodes.canny import Canny
from nodes.invert import Invert
from nodes.values import Array, Image
from tests.nodes.pictures.samples import RunningAlone, noise_image


def pixels(image: Image) -> NDArray[np.uint8]:
    return np.frombuffer(image.pixels.data, np.uint8).reshape(image.pixels.shape)


def square(value: int, channel: int | None = None, size: int = 40) -> Image:
    """A black picture with a square in it, ten pixels from each side."""
    data = np.zeros((1, size, size, 3), np.uint8)
    data[:, 10:-10, 10:-10, slice(None) if channel is None else channel] = value
    return Image(Array("U8", data.shape, data.tobytes()), (7,))


def edges(image: Image, low: float = 100.0, high: float = 200.0) -> Image:
    return Canny(image=image, low=low, high=high).run(RunningAlone()).image


@pytest.mark.parametrize("channel", [None, 0, 1, 2])
def test_edges_are_white_lines_along_what_changes(channel: int | None) -> None:
    found = edges(square(255, channel))
    assert found.pixels.shape == (1, 40, 40, 3)
    assert found.seeds == (7,)
    white = pixels(found)[0]
    assert set(np.unique(white)) == {0, 255}
    assert (white[..., 0] == white[..., 1]).all()
    assert (white[..., 0] == white[..., 2]).all()
    rows, columns = np.nonzero(white[..., 0])
    assert {rows.min(), rows.max(), columns.min(), columns.max()} <= {9, 10, 29, 30}
    assert not white[12:28, 12:28].any()


def test_what_changes_little_is_no_edge() -> None:
    assert not pixels(edges(square(20))).any()
    assert pixels(edges(square(20), 10, 20)).any()


@given(st.floats(0, 1000), st.floats(0, 1000), st.floats(0, 1000))
def test_a_lower_threshold_finds_what_a_higher_one_finds(first: float, second: float, third: float) -> None:
    low, high, higher = sorted((first, second, third))
    image = noise_image(48, 48)
    assert (pixels(edges(image, low, high)) >= pixels(edges(image, low, higher))).all()
    assert (pixels(edges(image, low, higher)) >= pixels(edges(image, high, higher))).all()


def test_each_picture_of_a_batch_is_looked_at_alone() -> None:
    both = noise_image(24, 16, count=2, seeds=(3, 4))
    found = edges(both)
    assert found.seeds == (3, 4)
    for number in range(2):
        one = Image(Array("U8", (1, 16, 24, 3), both.pixels.data[number * 1152 : (number + 1) * 1152]))
        assert (pixels(edges(one))[0] == pixels(found)[number]).all()


def test_thresholds_the_wrong_way_round_are_told() -> None:
    with pytest.raises(NovaError, match="low is 300 and high is 200"):
        edges(square(255), 300)


def test_every_colour_becomes_its_opposite_and_back() -> None:
    image = noise_image(count=2, seeds=(1, 2))
    turned = Invert(image=image).run(RunningAlone()).image
    assert (pixels(turned) == 255 - pixels(image)).all()
    assert Invert(image=turned).run(RunningAlone()).image == image
