"""How far two pictures are apart."""

from nodes.pictures.batches import Picture


def mean_difference(one: Picture, other: Picture) -> float | None:
    """Return the mean difference of their channels, 0 to 255; None where the sizes differ."""
    from PIL import Image, ImageChops, ImageStat

    if (one.width, one.height) != (other.width, other.height):
        return None
    first, second = (Image.frombytes("RGB", (each.width, each.height), each.rgb) for each in (one, other))
    means: list[float] = ImageStat.Stat(ImageChops.difference(first, second)).mean
    return sum(means) / len(means)
