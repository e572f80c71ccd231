"""The ResizeImage node."""

import pytest

from nodes.resize_image import ResizeImage
from nodes.values import Model, Weights
from tests.nodes.pictures.samples import RunningAlone, noise_image

MODEL = Model(Weights("0" * 64, "tiny"), (64, 64))


def test_a_batch_grows_and_keeps_its_seeds() -> None:
    image = noise_image(24, 16, count=2, seeds=(7, 8))
    resized = ResizeImage(image=image, scale=2.0).run(RunningAlone()).image
    assert resized.pixels.shape == (2, 32, 48, 3)
    assert len(resized.pixels.data) == 2 * 32 * 48 * 3
    assert resized.seeds == (7, 8)


def test_each_picture_is_resized_by_itself() -> None:
    image = noise_image(24, 16, count=2)
    both = ResizeImage(image=image, width=48).run(RunningAlone()).image
    alone = ResizeImage(image=noise_image(24, 16), width=48).run(RunningAlone()).image
    assert both.pixels.data[: len(alone.pixels.data)] == alone.pixels.data


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ((64, 64), (64, 64)),
        ((75, 69), (75, 69)),
        ((96, 72), (72, 56)),
        ((640, 320), (88, 48)),
        ((16, 40), (40, 104)),
    ],
)
def test_pictures_are_brought_near_a_models_own_size(own: tuple[int, int], expected: tuple[int, int]) -> None:
    resized = ResizeImage(image=noise_image(*own), model=MODEL).run(RunningAlone()).image
    assert resized.pixels.shape == (1, *expected[::-1], 3)


def test_a_size_that_is_asked_for_goes_before_the_models() -> None:
    resized = ResizeImage(image=noise_image(640, 320), model=MODEL, width=320).run(RunningAlone()).image
    assert resized.pixels.shape == (1, 160, 320, 3)
