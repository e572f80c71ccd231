"""Cutting faces out and laying them back: geometry, masks, and what must never change."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.errors import NovaError
from nodes.merging import Merge
from nodes.sdxl.crop import Rect, crop_around, drawn_size, whole_picture
from nodes.sdxl.detail import Framing, face_seeds, refine, require_boxes_for, spots
from nodes.sdxl.mask import Area, Pixels, cell_mask, extent, masked_part, soft_mask
from nodes.values import Box, Boxes, Image, Mask
from tests.nodes.sdxl.detectors import batch

SDXL = (1024, 1024)
NANO = (128, 128)

edges = st.integers(1, 3000)
sizes = st.tuples(edges, edges)
corners = st.floats(-500, 3500)


@st.composite
def parts(draw: st.DrawFn) -> tuple[Rect, tuple[int, int]]:
    """Draw a picture's size and a rectangle of at least one pixel in it."""
    width, height = draw(sizes)
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return Rect(left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))), (width, height)


def holds(outer: Rect, inner: Rect) -> bool:
    return (
        outer.left <= inner.left
        and outer.top <= inner.top
        and outer.right >= inner.right
        and outer.bottom >= inner.bottom
    )


@given(parts(), st.sampled_from([SDXL, NANO, (832, 1216)]), st.none() | st.sampled_from([64, 512, 1000]))
def test_a_crop_holds_its_part_inside_the_picture(
    place: tuple[Rect, tuple[int, int]], native: tuple[int, int], size: int | None
) -> None:
    part, picture = place
    crop = crop_around(part, picture, native, size)
    assert holds(crop.part, part)
    assert holds(Rect(0, 0, *picture), crop.part)
    width, height = crop.size
    assert width % 8 == 0
    assert height % 8 == 0
    area = native[0] * native[1] if size is None else size * size
    assert 0.75 * area < width * height < 1.3 * area


@given(parts())
def test_a_crop_is_drawn_in_its_own_proportions(place: tuple[Rect, tuple[int, int]]) -> None:
    crop = crop_around(*place, SDXL)
    aspect = crop.part.width / crop.part.height
    assume(1 / 4 <= aspect <= 4)
    assert abs(math.log(crop.size[0] / crop.size[1] / aspect)) < math.log(1.06)


@given(parts(), st.integers(0, 200))
def test_growing_stays_inside_the_picture(place: tuple[Rect, tuple[int, int]], by: int) -> None:
    part, picture = place
    grown = part.grown(by, picture)
    assert holds(grown, part)
    assert holds(Rect(0, 0, *picture), grown)
    assert grown.left in (0, part.left - by)
    assert grown.bottom in (picture[1], part.bottom + by)


@pytest.mark.parametrize(
    ("aspect", "native", "expected"),
    [
        (1.0, SDXL, (1024, 1024)),
        (0.99, SDXL, (1024, 1024)),
        (900 / 1152, SDXL, (896, 1152)),
        (1.5, NANO, (152, 104)),
        (2.9, SDXL, (1744, 600)),
        (1.0, NANO, (128, 128)),
        (1000.0, NANO, (256, 64)),
    ],
)
def test_sizes_are_those_the_model_knows(aspect: float, native: tuple[int, int], expected: tuple[int, int]) -> None:
    assert drawn_size(aspect, native[0] * native[1]) == expected


def test_a_square_face_away_from_borders_is_cut_square_and_drawn_native() -> None:
    crop = crop_around(Rect(400, 300, 600, 480), SDXL, SDXL)
    assert (crop.part.width, crop.part.height, crop.size) == (200, 200, SDXL)


def test_a_face_in_a_corner_is_cut_in_the_corner() -> None:
    assert crop_around(Rect(0, 0, 90, 200), SDXL, SDXL).part.box[:2] == (0, 0)
    assert crop_around(Rect(934, 824, 1024, 1024), SDXL, SDXL).part.box[2:] == SDXL


@given(st.builds(Box, corners, corners, corners, corners, st.just(0.5)), sizes, st.integers(-600, 600))
def test_masked_parts_lie_in_the_picture_or_are_nothing(box: Box, picture: tuple[int, int], dilate: int) -> None:
    part = masked_part(box, picture, (3, -2), dilate)
    if part is not None:
        assert holds(Rect(0, 0, *picture), part)
        assert part.width > 0
        assert part.height > 0


def test_offsets_move_and_dilation_widens() -> None:
    box = Box(10, 20, 30, 50, 0.9)
    assert masked_part(box, SDXL, (0, 0), 0) == Rect(10, 20, 30, 50)
    assert masked_part(box, SDXL, (5, -7), 0) == Rect(15, 13, 35, 43)
    assert masked_part(box, SDXL, (0, 0), 4) == Rect(8, 18, 32, 52)
    assert masked_part(box, SDXL, (0, 0), -4) == Rect(12, 22, 28, 48)
    assert masked_part(box, (20, 30), (0, 0), 4) == Rect(8, 18, 20, 30)
    assert masked_part(box, SDXL, (0, 0), -20) is None
    assert masked_part(box, SDXL, (0, -60), 0) is None
    assert masked_part(Box(10, 20, 10, 50, 0.9), SDXL, (0, 0), 0) is None


def test_a_mask_is_whole_inside_and_nothing_far_away() -> None:
    mask = np.asarray(soft_mask(Area((Rect(40, 40, 80, 80),)), (128, 128), 4))
    assert mask[60, 60] == 255
    assert 100 < mask[60, 40] < 160
    assert mask[60, 20] == mask[20, 60] == mask[100, 60] == 0
    hard = np.asarray(soft_mask(Area((Rect(40, 41, 80, 82),)), (128, 128), 0))
    assert set(np.unique(hard)) == {0, 255}
    assert hard.sum() == 255 * 40 * 41
    assert extent(soft_mask(Area((Rect(40, 41, 80, 82),)), (128, 128), 0)) == Rect(40, 41, 80, 82)


@given(parts())
def test_every_pixel_of_a_part_is_redrawn(place: tuple[Rect, tuple[int, int]]) -> None:
    part, picture = place
    crop = crop_around(part, picture, NANO)
    mask = cell_mask(Area((part,)), crop.part, crop.size)
    width, height = crop.size
    assert mask.weight.shape == (1, height, width)
    weight = np.frombuffer(mask.weight.data, np.uint8).reshape(height, width)
    assert set(np.unique(weight)) <= {0, 255}
    across, down = width / crop.part.width, height / crop.part.height
    for column in (part.left - crop.part.left + 0.01, part.right - crop.part.left - 0.01):
        for row in (part.top - crop.part.top + 0.01, part.bottom - crop.part.top - 0.01):
            assert weight[int(row * down), int(column * across)] == 255
    cells = weight.reshape(height // 8, 8, width // 8, 8)
    assert (cells == cells[:, :1, :, :1]).all()


def test_what_is_left_of_a_mask_is_kept() -> None:
    crop = Rect(0, 0, 128, 128)
    weight = np.frombuffer(cell_mask(Area((Rect(64, 32, 128, 128),)), crop, NANO).weight.data, np.uint8).reshape(
        128, 128
    )
    assert (weight[32:, 64:] == 255).all()
    assert weight.sum() == 255 * 64 * 96


@pytest.mark.parametrize("small", [Box(10, 500, 12, 502, 1), Box(1000, 300, 1002, 302, 1), Box(500, 10, 502, 12, 1)])
def test_a_face_too_small_for_its_blur_changes_nothing_in_the_crop_of_the_others(small: Box) -> None:
    """Its mask is nowhere more than half of one in 255, so the crop may end before it."""
    large = Box(480, 480, 620, 620, 1)
    framing = Framing(native=SDXL, padding=0, blur=64, dilate=0, merge="merge")
    masks = []
    for boxes in ((large,), (large, small)):
        (spot,) = spots(boxes, (1200, 1200), framing)
        masks.append(cell_mask(spot.area, spot.crop.part, spot.crop.size))
    assert masks[1] == masks[0]


@given(parts(), st.integers(8, 400), st.integers(8, 400))
def test_of_an_inverted_mask_only_latents_without_another_pixel_are_kept(
    place: tuple[Rect, tuple[int, int]], wide: int, high: int
) -> None:
    part, picture = place
    whole = Rect(0, 0, *picture)
    mask = cell_mask(Area((part,), inverted=True), whole, (wide // 8 * 8, high // 8 * 8))
    cells = np.frombuffer(mask.weight.data, np.uint8).reshape(mask.weight.shape[1:])[::8, ::8]
    rows, columns = cells.shape
    for row, column in zip(*np.nonzero(cells == 0), strict=True):
        assert part.left <= column / columns * picture[0] + 1e-6
        assert (column + 1) / columns * picture[0] <= part.right + 1e-6
        assert part.top <= row / rows * picture[1] + 1e-6
        assert (row + 1) / rows * picture[1] <= part.bottom + 1e-6


def test_of_an_inverted_mask_the_parts_are_kept() -> None:
    area = Area((Rect(64, 32, 128, 128), Rect(0, 3, 10, 25)), inverted=True)
    weight = np.frombuffer(cell_mask(area, Rect(0, 0, 128, 128), NANO).weight.data, np.uint8).reshape(128, 128)
    kept = np.zeros((128, 128), bool)
    kept[32:, 64:] = kept[8:24, :8] = True
    assert (weight == np.where(kept, 0, 255)).all()


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


class Painter:
    """Redraws everything in one colour for each seed, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[Pixels, int]] = []

    def __call__(self, pixels: Pixels, mask: Mask, seed: int) -> Pixels:
        assert mask.weight.shape == (1, *pixels.shape[:2])
        self.given.append((pixels, seed))
        return np.broadcast_to(np.array([seed, 0, 255 - seed], np.uint8), pixels.shape).copy()


def pictures_of(image: Image) -> NDArray[np.uint8]:
    return np.frombuffer(image.pixels.data, np.uint8).reshape(image.pixels.shape)


framings = st.builds(
    Framing,
    native=st.sampled_from([SDXL, NANO]),
    padding=st.integers(0, 64),
    blur=st.sampled_from([0, 1, 4, 9.5]),
    dilate=st.integers(-8, 16),
    only_masked=st.booleans(),
    size=st.sampled_from([None, 64]),
    merge=st.sampled_from(["none", "merge", "invert"]),
)
near = st.floats(-20, 140)


@given(
    framings,
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
    st.lists(st.builds(Box, near, near, near, near, st.just(0.5)), max_size=3),
)
def test_pixels_outside_the_blurred_mask_keep_their_bits(
    framing: Framing, picture: tuple[int, int], boxes: list[Box]
) -> None:
    image = batch(noise(*picture), seeds=(3,))
    places = spots(tuple(boxes), picture, framing)
    refined = refine(image, (places,), ((255,) * len(places),), Painter())
    before, after = pictures_of(image)[0], pictures_of(refined)[0]
    reached = np.zeros(before.shape[:2], bool)
    for spot in places:
        weight = np.asarray(spot.mask)
        reached |= weight > 0
        assert (after[weight == 255] == (255, 0, 0)).all()
    assert (after[~reached] == before[~reached]).all()
    assert refined.seeds == (3,)


def test_without_spots_a_picture_is_identical() -> None:
    image = batch(noise(40, 30), noise(40, 30, 1), seeds=(3, 4))
    assert refine(image, ((), ()), ((), ()), Painter()) == image


def test_each_face_is_cut_from_the_picture_the_last_one_left() -> None:
    painter = Painter()
    boxes = (Box(10, 10, 60, 60, 0.9), Box(30, 30, 80, 80, 0.8))
    image = batch(noise(100, 100))
    places = spots(boxes, (100, 100), Framing(native=NANO, blur=0, dilate=0))
    refined = refine(image, (places,), ((200, 100),), painter)
    second, seed = painter.given[1]
    assert seed == 100
    assert (np.abs(second.astype(int) - (200, 0, 55)).sum(-1) < 30).mean() > 0.2
    after = pictures_of(refined)[0]
    assert (after[20, 20] == (200, 0, 55)).all()
    assert (after[45, 45] == (100, 0, 155)).all()


@pytest.mark.parametrize(("merge", "face", "between"), [("merge", 200, None), ("invert", None, 200)])
def test_faces_are_redrawn_at_once_or_all_but_the_faces(merge: Merge, face: int | None, between: int | None) -> None:
    painter = Painter()
    boxes = (Box(10, 10, 30, 30, 0.9), Box(60, 60, 80, 80, 0.8), Box(25, 10, 40, 30, 0.7))
    image = batch(noise(100, 100))
    places = spots(boxes, (100, 100), Framing(native=NANO, blur=0, dilate=0, merge=merge))
    refined = pictures_of(refine(image, (places,), ((200,),), painter))[0]
    assert len(painter.given) == 1
    for expected, points in ((face, [(10, 10), (79, 79), (39, 29)]), (between, [(9, 9), (50, 50), (80, 79), (40, 29)])):
        for column, row in points:
            old = pictures_of(image)[0, row, column].tolist()
            assert refined[row, column].tolist() == (old if expected is None else [200, 0, 55])


def test_without_a_box_there_is_nothing_to_invert() -> None:
    assert spots((), (100, 100), Framing(native=NANO, merge="invert")) == ()
    assert spots((Box(-9, -9, 200, 200, 0.9),), (100, 100), Framing(native=NANO, merge="invert")) == ()


def test_pictures_of_a_batch_have_their_own_faces() -> None:
    image = batch(noise(64, 64), noise(64, 64, 1), noise(64, 64, 2))
    framing = Framing(native=NANO)
    places = tuple(spots(boxes, (64, 64), framing) for boxes in ((Box(8, 8, 40, 40, 0.9),), (), (Box(0, 0, 9, 9, 1),)))
    after = pictures_of(refine(image, places, face_seeds(7, (1, 0, 1), same=False), Painter()))
    before = pictures_of(image)
    assert (after[0, 24, 24] == (7, 0, 248)).all()
    assert (after[1] == before[1]).all()
    assert (after[2, 1, 1] == (9, 0, 246)).all()
    assert (after[2, 40:, 40:] == before[2, 40:, 40:]).all()


def test_distances_shrink_with_the_model() -> None:
    box = (Box(400, 400, 600, 600, 0.9),)
    (large,) = spots(box, SDXL, Framing(native=SDXL))
    (small,) = spots((Box(50, 50, 75, 75, 0.9),), NANO, Framing(native=NANO, blur=0))
    assert large.area == Area((Rect(398, 398, 602, 602),))
    assert small.area == Area((Rect(49, 49, 76, 76),))
    assert (small.crop.part, small.crop.size) == (Rect(45, 45, 80, 80), NANO)
    assert 240 <= large.crop.part.width <= 300


def test_a_mask_that_was_asked_to_be_soft_is_soft_on_a_small_model() -> None:
    (soft,) = spots((Box(40, 40, 90, 90, 0.9),), NANO, Framing(native=NANO))
    assert len(np.unique(np.asarray(soft.mask)[64])) > 5
    (hard,) = spots((Box(40, 40, 90, 90, 0.9),), NANO, Framing(native=NANO, blur=0))
    assert set(np.unique(np.asarray(hard.mask))) == {0, 255}


def test_a_whole_picture_is_drawn_at_its_own_size() -> None:
    assert whole_picture((832, 1216)).size == (832, 1216)
    assert whole_picture((131, 1)).size == (128, 8)
    assert whole_picture((200, 100), 512).size == (728, 360)


def test_seeds_count_pictures_and_faces() -> None:
    assert face_seeds(10, (2, 0, 3), same=False) == ((10, 11), (), (12, 13, 14))
    assert face_seeds(10, (2, 0, 3), same=True) == ((10, 10), (), (12, 12, 12))
    assert face_seeds(2**64 - 1, (2, 1), same=False) == ((2**64 - 1, 0), (0,))


def test_boxes_of_another_batch_are_refused() -> None:
    with pytest.raises(NovaError, match="boxes for 2 pictures but the batch has 1"):
        require_boxes_for(batch(noise(8, 8)), Boxes(((), ())))
