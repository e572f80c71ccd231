"""The DetectFaces node, and which boxes it keeps in which order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.assets import Asset, Found
from engine.declaration import declare
from engine.errors import AssetMissing, Cancelled
from engine.testing import QuietContext
from nodes.detect_faces import DetectFaces, detector_in
from nodes.sdxl.detector_choice import Keep, Order, area, foremost, ordered, within_ratio
from nodes.sdxl.pool import Pool
from nodes.values import Box, Detector, Weights
from tests.nodes.sdxl.detectors import FACE, batch, pixels
from tests.nodes.sdxl.loading import WEIGHTS, loading

AUTO = Asset("detector", "auto")


def context(stop_after: int | None = None) -> QuietContext:
    torch.set_num_threads(1)
    found = Found(AUTO, FACE, WEIGHTS.sha256, "embedded")
    return QuietContext(pool=Pool(10**9, loading(FACE)), assets={"detector": found}, stop_after=stop_after)


def test_faces_are_found_in_each_picture() -> None:
    pair = pixels("pair")
    empty = np.full_like(pair, 127)
    boxes = DetectFaces(image=batch(pair, empty, pair), confidence=0.45).run(context()).boxes
    assert [len(found) for found in boxes.pictures] == [2, 0, 2]
    assert boxes.pictures[0] == boxes.pictures[2]
    assert all(isinstance(value, float) for box in boxes.pictures[0] for value in (box.left, box.confidence))


def test_the_options_choose_among_the_boxes() -> None:
    image = batch(pixels("pair"))

    def found(**options: object) -> tuple[Box, ...]:
        node = DetectFaces.model_validate({"image": image, "confidence": 0.45, **options})
        return node.run(context()).boxes.pictures[0]

    right, left = found()
    assert right.left > 128 > left.right
    assert found(order="left-right") == (left, right)
    assert found(limit=1, keep="confidence") == (right,)
    assert found(confidence=0.84) == (right,)
    assert found(min_ratio=0.5) == ()
    assert found(max_ratio=0.01) == ()


@pytest.mark.parametrize(("edge", "warnings"), [(768, 0), (776, 1)])
def test_a_detector_much_smaller_than_the_picture_is_told(edge: int, warnings: int) -> None:
    ctx = context()
    DetectFaces(image=batch(np.full((64, edge, 3), 127, np.uint8))).run(ctx)
    assert len(ctx.warnings) == warnings
    assert all("works at 192 pixels" in text and f"{edge}x64" in text for text in ctx.warnings)


def test_a_run_can_be_stopped_before_the_first_picture() -> None:
    with pytest.raises(Cancelled):
        DetectFaces(image=batch(pixels("pair"))).run(context(stop_after=0))


def test_defaults_are_those_of_adetailer() -> None:
    noted = {name: port.default for name, port in declare(DetectFaces).inputs.items() if not port.required}
    assert noted == {
        "detector": "auto",
        "confidence": 0.3,
        "min_ratio": 0.0,
        "max_ratio": 1.0,
        "limit": 0,
        "keep": "area",
        "order": "none",
    }


@pytest.mark.parametrize("wrong", [{"confidence": 0.0}, {"limit": -1}, {"order": "size"}, {"confidence": "0.3"}])
def test_ports_have_bounds(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DetectFaces.model_validate({"image": batch(pixels("pair")), **wrong})


def test_the_handle_says_whether_a_file_is_a_pickle() -> None:
    assert detector_in(Found(AUTO, Path("a/face.safetensors"), "1")) == Detector(Weights("1", "face.safetensors"))
    assert detector_in(Found(AUTO, Path("a/face.PT"), "2")) == Detector(Weights("2", "face.PT"), pickled=True)
    with pytest.raises(AssetMissing, match="names no detector"):
        detector_in(Found(Asset("detector", "none"), None, ""))


lengths = st.floats(0, 1000)
some_boxes = st.lists(st.builds(Box, lengths, lengths, lengths, lengths, st.floats(0, 1)), max_size=8).map(tuple)
pictures = st.tuples(st.integers(1, 1000), st.integers(1, 1000))


@given(some_boxes, pictures, st.sampled_from(["none", "left-right", "center-edge", "area"]))
def test_ordering_keeps_every_box(boxes: tuple[Box, ...], picture: tuple[int, int], order: Order) -> None:
    result = ordered(boxes, picture, order)
    assert sorted(map(hash, result)) == sorted(map(hash, boxes))
    assert ordered(result, picture, order) == result


@given(some_boxes, st.integers(0, 10), st.sampled_from(["area", "confidence"]))
def test_the_foremost_are_no_worse_than_the_rest(boxes: tuple[Box, ...], limit: int, keep: Keep) -> None:
    kept = foremost(boxes, limit, keep)
    if limit == 0:
        assert kept == boxes
        return
    assert len(kept) == min(limit, len(boxes))
    measures = [area(box) if keep == "area" else box.confidence for box in boxes]
    assert [area(box) if keep == "area" else box.confidence for box in kept] == sorted(measures, reverse=True)[:limit]


@given(some_boxes, pictures, st.floats(0, 1), st.floats(0, 1))
def test_ratios_are_shares_of_the_picture(
    boxes: tuple[Box, ...], picture: tuple[int, int], low: float, high: float
) -> None:
    for box in boxes:
        share = area(box) / (picture[0] * picture[1])
        assert (box in within_ratio(boxes, picture, low, high)) == (low <= share <= high)


def test_orders_are_those_of_adetailer() -> None:
    small_left = Box(0, 40, 20, 60, 0.9)
    large_middle = Box(30, 30, 75, 75, 0.5)
    right = Box(80, 0, 100, 30, 0.7)
    boxes = (right, large_middle, small_left)
    assert ordered(boxes, (100, 100), "none") == boxes
    assert ordered(boxes, (100, 100), "left-right") == (small_left, large_middle, right)
    assert ordered(boxes, (100, 100), "center-edge") == (large_middle, small_left, right)
    assert ordered(boxes, (100, 100), "area") == (large_middle, right, small_left)
