"""Text to tree: YAML 1.2's scalars, JSON, positions, and nothing that surprises."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import GraphErrors
from engine.reading import read
from engine.source import MAX_BYTES, MAX_DEPTH
from engine.values import Json

SCALARS: dict[str, Json] = {
    "no": "no",
    "on": "on",
    "Yes": "Yes",
    "1:30": "1:30",
    "2001-01-01": "2001-01-01",
    "1_000": "1_000",
    "0b11": "0b11",
    "=": "=",
    "": None,
    "~": None,
    "Null": None,
    "null": None,
    "true": True,
    "FALSE": False,
    "tRue": "tRue",
    "12": 12,
    "+12": 12,
    "-0": 0,
    "007": 7,
    "0o17": 15,
    "0x1F": 31,
    "0X1F": "0X1F",
    "-0x1F": "-0x1F",
    "1e-3": 0.001,
    "1e3": 1000.0,
    ".5": 0.5,
    "5.": 5.0,
    "1.": 1.0,
    "-.5E+2": -50.0,
    ".": ".",
    "1e": "1e",
    "٣": "٣",
    "'12'": "12",
    '"true"': "true",
    "1girl, solo": "1girl, solo",
    "18446744073709551615": 2**64 - 1,
}


@pytest.mark.parametrize(("written", "meant"), SCALARS.items())
def test_scalars_follow_yaml_1_2_core(written: str, meant: Json) -> None:
    found = read(f"key: {written}\n", "f").plainly()
    assert found == {"key": meant}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(meant)


@pytest.mark.parametrize(
    "written", [".inf", "-.INF", "+.Inf", ".nan", ".NaN", "1e999", "9" * 101, "9" * 5000, "1" * 301]
)
def test_numbers_are_finite_and_bounded(written: str) -> None:
    with pytest.raises(GraphErrors, match="f:1:7: "):
        read(f"key:  {written}", "f")


def test_json_text_keeps_what_libyaml_would_not() -> None:
    text = '{"a":"\\/ \\ud83d\\ude00 \u2028 \x85","b":[1,2.5,[],{},-0.0,1E2,true,null],\r\n\t"c":{"d":[{}]}}\n'
    assert read(text, "f").plainly() == json.loads(text)
    assert read(text.encode(), "f").plainly() == json.loads(text)
    assert read("\ufeff" + text, "f").plainly() == json.loads(text)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"a": NaN}', "f:1:7: numbers must be finite"),
        ('{"a": [-Infinity]}', "f:1:8: numbers must be finite"),
        ('{"a": 1e999}', "f:1:7: this number is too large"),
        (f'{{"a": {"9" * 101}}}', "f:1:7: this number is too large"),
        (f'{{"a": {"9" * 5000}}}', "f:1:7: this number is too large"),
        ('{"a": 1,\n "a": 2}', 'f:2:2: the key "a" stands here twice; first on line 1'),
        ('{"a": "\\ud800"}', "f:1:7: this text holds half of a surrogate pair"),
        ('{"a": {"b": 1}', "f:1:1: this is not YAML: this list or mapping is not closed"),
    ],
)
def test_json_text_is_strict(text: str, where: str) -> None:
    with pytest.raises(GraphErrors) as caught:
        read(text, "f")
    assert str(caught.value).startswith(where)


LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SINGLE = st.none() | st.booleans() | st.integers(-(10**99), 10**99) | LETTERS
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    SINGLE | NUMBERS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LETTERS, inner, max_size=4)
)


@given(TREES)
def test_json_as_text_and_as_tree_are_one(value: Json) -> None:
    tree: dict[str, Json] = {"value": value}
    assert read(json.dumps(tree), "f").plainly() == tree
    assert read(json.dumps(tree, ensure_ascii=False, indent="\t"), "f").plainly() == tree
    assert read(tree, "f").plainly() == tree


@pytest.mark.parametrize("opening", ["[", "{a: ", '{"a":', "- ", "[{a: ", "? ", '[["', "!!x [", "&a ["])
def test_deep_nesting_is_an_error_not_a_crash(opening: str) -> None:
    with pytest.raises(GraphErrors):
        read(opening * 100_000, "f")


def test_nesting_is_allowed_up_to_the_limit() -> None:
    assert read("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), "f").plainly()
    with pytest.raises(GraphErrors, match="levels deep"):
        read("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH, "f")


def test_deep_parsed_trees_are_refused() -> None:
    tree: list[Json] = []
    for _ in range(100_000):
        tree = [tree]
    with pytest.raises(GraphErrors, match="levels deep"):
        read({"a": tree}, "f")


def test_parsed_trees_that_hold_themselves_are_refused() -> None:
    tree: dict[str, Json] = {}
    tree["me"] = tree
    with pytest.raises(GraphErrors, match="levels deep"):
        read(tree, "f")


@pytest.mark.parametrize("value", [math.nan, math.inf, b"x", (1,), {1: 2}, {"\ud800": 1}, "\udfff", 10**100, {1, 2}])
def test_parsed_trees_hold_json_only(value: Json) -> None:
    with pytest.raises(GraphErrors, match=r"^a"):
        read({"a": value}, "f")


def test_files_are_utf8_and_not_too_long() -> None:
    with pytest.raises(GraphErrors, match="f:2:4: this file is not UTF-8"):
        read(b"a: 1\r\nb: \xff", "f")
    with pytest.raises(GraphErrors, match="not UTF-8"):
        read("a: 1".encode("utf-16"), "f")
    with pytest.raises(GraphErrors, match="4 MiB"):
        read(b" " * (MAX_BYTES + 1), "f")


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ufffe"])
def test_invisible_characters_must_be_escaped(character: str) -> None:
    with pytest.raises(GraphErrors) as caught:
        read(f"a: 1\nb: x{character}y\n", "f")
    assert str(caught.value).startswith(f"f:2:5: the character U+{ord(character):04X} cannot be written")
    assert character not in str(caught.value)
    assert read(f'b: "x\\u{ord(character):04x}y"', "f").plainly() == {"b": f"x{character}y"}


def test_line_ends_of_every_kind_give_the_same_places() -> None:
    for end in ("\n", "\r\n", "\r"):
        with pytest.raises(GraphErrors, match="f:3:4: "):
            read(f"a: 1{end}b: 2{end}c: @{end}", "f")


def test_very_long_lines_are_not_repeated_whole() -> None:
    with pytest.raises(GraphErrors) as caught:
        read("a: [" + "1, " * 100_000 + "@]", "f")
    assert len(str(caught.value)) < 500
    with pytest.raises(GraphErrors) as caught:
        read("a: @" + "1, " * 100_000, "f")
    assert len(str(caught.value)) < 500


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text, "f")
    except GraphErrors:
        return
