from nodes.resize_image import ResizeImage
from tests.nodes.pictures.samples import RunningAlone, noise_image


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
