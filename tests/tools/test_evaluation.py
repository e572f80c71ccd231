"""How pictures are judged, with pictures and boxes whose figures are known."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from nodes.values import Box
from tests.tools.scenes import BASE, plain
from tools.train_nano.evaluate.card import BEGIN, END, measured_part, write_into_card
from tools.train_nano.evaluate.effects import sharpness
from tools.train_nano.evaluate.figures import Measured
from tools.train_nano.evaluate.judge import Judged, Share, attribute_shares
from tools.train_nano.evaluate.precision import average_precision, overlap
from tools.train_nano.evaluate.probes import FACE_HEADS, PICTURE_HEADS, face_cut, labels_of
from tools.train_nano.evaluate.prompts import girl, held_out_scenes, of_framing
from tools.train_nano.evaluate.showcase import FRAME, boxed
from tools.train_nano.evaluate.studio import Drawn
from tools.train_nano.render.scene import Scene

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def seen(scene: Scene, faces: int = 1, **wrong: str) -> Judged:
    """Return a scene as probes see it that are sure, and right but for `wrong`."""
    return Judged(scene, {name: {value: 1.0} for name, value in {**labels_of(scene), **wrong}.items()}, faces)


def test_held_out_prompts_are_always_the_same_and_of_one_girl() -> None:
    scenes = held_out_scenes(40)
    assert scenes == held_out_scenes(40)
    assert scenes[:10] == held_out_scenes(10)
    assert all(girl(scene) and scene.defect is None for scene in scenes)
    assert [len(of_framing(scenes, framing)) for framing in ("close-up", "upper body", "full body")] == [20, 10, 10]
    assert not set(scenes) & set(held_out_scenes(200, "probes"))


def test_labels_are_values_of_the_probes() -> None:
    heads = {**PICTURE_HEADS, **FACE_HEADS}
    for scene in held_out_scenes(30):
        labels = labels_of(scene)
        assert labels.keys() == heads.keys()
        assert all(labels[name] in heads[name] for name in heads)


def test_right_pictures_have_full_marks_and_wrong_ones_lose_theirs() -> None:
    shares = attribute_shares([seen(plain()), seen(plain(), hair="red", faces=2), seen(plain(framing="full body"))])
    assert shares["hair colour"] == Share(2, 3)
    assert shares["background colour"] == Share(3, 3)
    assert shares["eye colour (close-up, eyes open)"] == Share(2, 2)
    assert shares["exactly one face (close-up, upper body)"] == Share(1, 2)
    assert shares["exactly one face (full body)"] == Share(1, 1)


def test_closed_eyes_do_not_count_for_eye_colour() -> None:
    closed = plain(dataclasses.replace(BASE, eyes_closed=True))
    assert attribute_shares([seen(closed)])["eye colour (close-up, eyes open)"] == Share(0, 0)


def test_what_no_face_shows_is_wrong() -> None:
    reading = {name: {value: 1.0} for name, value in labels_of(plain()).items() if name in PICTURE_HEADS}
    shares = attribute_shares([Judged(plain(), reading, 0)])
    assert shares["hair colour"] == Share(1, 1)
    assert shares["expression (close-up, upper body)"] == Share(0, 1)


def test_an_accessory_too_many_is_wrong() -> None:
    name = "accessories, exactly those asked for"
    assert attribute_shares([seen(plain(), hat="yes"), seen(plain())])[name] == Share(1, 2)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(LEFT, LEFT, 1.0), (LEFT, RIGHT, 0.0), (LEFT, (0.0, 0.0, 1.0, 1.0), 0.5), (LEFT, (0.25, 0.0, 0.75, 1.0), 1 / 3)],
)
def test_overlap(
    first: tuple[float, float, float, float], second: tuple[float, float, float, float], expected: float
) -> None:
    assert overlap(first, second) == pytest.approx(expected)
    assert overlap(second, first) == pytest.approx(expected)


def test_average_precision() -> None:
    assert average_precision([[(0.9, LEFT)], [(0.8, RIGHT)]], [[LEFT], [RIGHT]]) == 1
    assert average_precision([[(0.9, LEFT)], []], [[LEFT], [RIGHT]]) == 0.5
    assert average_precision([[(0.9, RIGHT)], [(0.8, RIGHT)]], [[LEFT], [RIGHT]]) == pytest.approx(0.25)
    assert average_precision([[(0.9, LEFT), (0.8, LEFT)]], [[LEFT]]) == 1
    assert average_precision([[], []], [[LEFT], []]) == 0


def test_a_blurred_picture_is_less_sharp() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    smooth = np.repeat(np.repeat(noise[::4, ::4], 4, 0), 4, 1)
    assert sharpness(noise) > sharpness(smooth) > sharpness(np.full((32, 32, 3), 90, np.uint8)) == 0
    noise[:, :16] = 90
    assert sharpness(noise, (0, 0, 14, 32)) == 0


def test_faces_are_cut_out_with_what_is_around_them() -> None:
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[40:80, 40:80] = 255
    cut = face_cut(pixels, (40, 40, 80, 80))
    assert cut.shape == (64, 64, 3)
    assert cut.mean() / 255 == pytest.approx(1 / 1.45**2, abs=0.02)


def test_found_faces_are_framed() -> None:
    grey = np.full((32, 32, 3), 90, np.uint8)
    framed = boxed(Drawn(grey, (Box(left=4, top=6, right=20, bottom=24, confidence=0.9),), grey, 1.0))
    assert framed.shape == (64, 64, 3)
    assert (framed[12, 8:41] == FRAME).all()
    assert (framed[48, 8:41] == FRAME).all()
    assert (framed != 90).any(2).sum() == 2 * (33 + 37) - 4


def test_figures_are_written_between_the_marks(tmp_path: Path) -> None:
    names = attribute_shares([seen(plain())])
    shares = dict.fromkeys(names, Share(9, 10)) | {"framing": Share(1, 2)}
    numbers = {
        "VAE psnr": 24.3,
        "VAE eigenvalue 1": 0.8,
        "seconds per picture": 0.5,
        "detector mAP50 on renders": 0.97,
        "PAG: differing": 4.0,
        "PAG: pictures": 4.0,
        "PAG: accuracy gained": -0.05,
    }
    part = measured_part(Measured(128, shares, shares, numbers), "make nano-eval")
    assert "| framing | 50.0% of 2 | 50.0% | 90%, not reached |" in part
    assert "| hair colour | 90.0% of 10 | 90.0% | 95%, not reached |" in part
    assert "24.3 dB | | 28 dB, not reached" in part
    assert "0.970 | | 0.95, reached" in part
    assert "accuracy -5.0 points | | all differ, at most 2 points lower, not reached" in part
    card = tmp_path / "card.md"
    card.write_text(f"# Card\n{BEGIN}\nold\n{END}\nlimits\n", encoding="utf-8")
    write_into_card(card, part)
    text = card.read_text(encoding="utf-8")
    assert text.startswith("# Card\n")
    assert text.endswith("limits\n")
    assert "old" not in text
    card.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="marks"):
        write_into_card(card, part)
