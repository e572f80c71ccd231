"""Scenes, captions and boxes: by lot, but always the same lot."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.train_nano.data import scene_of
from tools.train_nano.render.captions import BLURRED, COMPRESSED, training_caption, true_tags, vocabulary
from tools.train_nano.render.placement import face_boxes, place_heads
from tools.train_nano.render.scene import ACCESSORIES, FRAMINGS, STYLES, TOGETHER, draw_scene

numbers = st.integers(0, 10**6)


@given(numbers)
def test_the_same_number_is_the_same_scene(number: int) -> None:
    assert scene_of(3, number) == scene_of(3, number)
    assert scene_of(3, number) != scene_of(4, number)


@given(numbers)
def test_true_tags_are_tags_of_the_grammar_each_said_once(number: int) -> None:
    tags = true_tags(scene_of(1, number))
    assert set(tags) <= set(vocabulary())
    assert len(set(tags)) == len(tags)


@given(numbers)
def test_tags_tell_of_the_scene(number: int) -> None:
    scene = scene_of(1, number)
    tags = true_tags(scene)
    if scene.sky is not None:
        assert "no humans" in tags
        assert not face_boxes(scene)
        return
    assert tags[0] == ("1girl" if len(scene.characters) == 1 else "2girls")
    assert {tag for tag in tags if tag in FRAMINGS} == {scene.framing}
    assert f"{scene.background} background" in tags
    for character in scene.characters:
        assert {f"{character.hair} hair", character.style, character.mouth} <= set(tags)
        assert ("closed eyes" if character.eyes_closed else f"{character.eyes} eyes") in tags
    worn = {accessory for character in scene.characters for accessory in character.accessories}
    assert {tag for tag in tags if tag in ACCESSORIES} == worn
    assert ("worst quality" in tags) == (scene.defect is not None)


@given(numbers, numbers)
def test_captions_never_say_what_is_not_there(number: int, salt: int) -> None:
    scene = scene_of(1, number)
    said = set(training_caption(scene, random.Random(salt)).replace("_", " ").split(", "))
    true = set(true_tags(scene))
    attributes = {tag for tag in vocabulary() if tag.endswith((" hair", " eyes", " background"))} | set(STYLES)
    kinds = attributes & said - {"simple background"}
    assert kinds <= true | {"medium hair"}
    if "medium hair" in said:
        assert "bob cut" in true
    assert not (said & {*BLURRED, *COMPRESSED} and scene.defect is None)


def test_captions_differ_from_visit_to_visit() -> None:
    scene = scene_of(1, 5)
    assert len({training_caption(scene, random.Random(salt)) for salt in range(50)}) > 30


def test_some_captions_have_underscores_unknown_words_and_only_few_tags() -> None:
    lot = random.Random(1)
    captions = [training_caption(draw_scene(lot), lot) for _ in range(1500)]
    known = set(vocabulary())
    underscored = [caption for caption in captions if "_" in caption]
    strange = [caption for caption in captions if set(caption.replace("_", " ").split(", ")) - known - {""}]
    short = [caption for caption in captions if caption.count(",") < 3]
    assert 20 < len(underscored) < 120
    assert 100 < len(strange) < 300
    assert 40 < len(short) < 160


@given(numbers)
def test_faces_are_where_heads_are(number: int) -> None:
    scene = scene_of(1, number)
    for left, top, right, bottom in face_boxes(scene):
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
    for head in place_heads(scene):
        left, top, right, bottom = head.face
        assert left < head.x < right
        assert top < head.y < bottom


@given(numbers)
def test_accessories_do_not_lie_on_each_other(number: int) -> None:
    assert all(set(character.accessories) not in TOGETHER for character in scene_of(1, number).characters)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_framing_keeps_its_face_in_the_picture(framing: str) -> None:
    whole = [scene for scene in (scene_of(1, number) for number in range(400)) if scene.framing == framing]
    plain = [scene for scene in whole if scene.characters and scene.crop == (0.0, 0.0)]
    assert plain
    assert all(len(face_boxes(scene)) == len(scene.characters) for scene in plain)
