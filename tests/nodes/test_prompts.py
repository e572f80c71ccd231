"""Prompt syntax: the published examples, the peers' odd corners, and what holds for any text."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.prompts import MAX_WEIGHT, Dialect, join_prompts, parse_prompt

Pairs = list[tuple[str, float]]

DIALECTS: tuple[Dialect, ...] = ("a1111", "comfy")
LONG = 100_000
SYNTAX = st.text(alphabet="()[]:\\.,0123456789-+ abBREAK\n", max_size=60)
ANY_TEXT = st.one_of(st.text(max_size=60), SYNTAX)


def read(text: str, dialect: Dialect) -> list[Pairs]:
    return [[(fragment.text, fragment.weight) for fragment in section] for section in parse_prompt(text, dialect)]


def assert_same(found: Pairs, expected: Pairs) -> None:
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in expected], rel=1e-7, abs=1e-8)


A1111_EXAMPLES: list[tuple[str, Pairs]] = [
    ("normal text", [("normal text", 1.0)]),
    ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
    ("(unbalanced", [("unbalanced", 1.1)]),
    (r"\(literal\]", [("(literal]", 1.0)]),
    ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
    (
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        [
            ("a ", 1.0),
            ("house", 1.573),
            (" ", 1.1),
            ("on", 1.0),
            (" a ", 1.1),
            ("hill", 0.55),
            (", sun, ", 1.1),
            ("sky", 1.4641),
            (".", 1.1),
        ],
    ),
    ("((x:1.2))", [("x", 1.32)]),
    ("[x]", [("x", 1 / 1.1)]),
    ("[[x]", [("x", 1 / 1.21)]),
    ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 1 / 1.1)]),
    ("cat) and ]", [("cat) and ]", 1.0)]),
    ("(cat:0)", [("cat", 0.0)]),
    ("(cat:-1)", [("cat", -1.0)]),
    ("(cat: +.5 )", [("cat", 0.5)]),
    ("(cat:abc)", [("cat:abc", 1.1)]),
    ("(cat:1.2.3)", [("cat:1.2.3", 1.1)]),
    ("(re:zero:1.2)", [("re:zero", 1.2)]),
    ("cat:1.2)", [("cat:1.2)", 1.0)]),
    (r"tag \(series\)", [("tag (series)", 1.0)]),
    (r"(tag \(series\):1.2)", [("tag (series)", 1.2)]),
    (r"\\o/ \o/", [(r"\o/ o/", 1.0)]),
    ("", []),
    ("()", []),
]


@pytest.mark.parametrize(("text", "expected"), A1111_EXAMPLES)
def test_a1111_examples(text: str, expected: Pairs) -> None:
    (section,) = read(text, "a1111")
    assert_same(section, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a BREAK b", [["a"], ["b"]]),
        ("a, BREAK\n b, c", [["a,"], ["b, c"]]),
        ("a BREAK", [["a"]]),
        ("BREAK a", [[], ["a"]]),
        ("a BREAK BREAK b", [["a"], [], ["b"]]),
        ("BREAKFAST in_BREAK break", [["BREAKFAST in_BREAK break"]]),
        ("BREAK", [[]]),
    ],
)
def test_break_starts_a_section(text: str, expected: list[list[str]]) -> None:
    assert [[fragment for fragment, _ in section] for section in read(text, "a1111")] == expected


def test_break_inside_brackets_keeps_the_weight_on_both_sides() -> None:
    assert read("(a BREAK b:1.5) c", "a1111") == [[("a", 1.5)], [("b", 1.5), (" c", 1.0)]]


COMFY_EXAMPLES: list[tuple[str, Pairs]] = [
    ("((cat))", [("cat", 1.21)]),
    ("((cat:1.3))", [("cat", 1.3)]),
    ("(a (b:1.2) c)", [("a ", 1.1), ("b", 1.2), (" c", 1.1)]),
    ("(a (b) c:1.5)", [("a ", 1.5), ("b", 1.65), (" c", 1.5)]),
    ("((a:1.2) b:1.5)", [("a", 1.2), (" b", 1.5)]),
    ("(a:b:1.2)", [("a:b", 1.2)]),
    ("(cat:abc)", [("cat:abc", 1.1)]),
    ("(cat:1,5)", [("cat:1,5", 1.1)]),
    ("(:1.2)", [(":1.2", 1.1)]),
    ("()", []),
    ("(cat", [("(cat", 1.0)]),
    ("cat)", [("cat)", 1.0)]),
    ("a)b(c", [("a)b(c", 1.0)]),
    (r"\(cat\)", [("(cat)", 1.0)]),
    (r"(a \(b\):1.2)", [("a (b)", 1.2)]),
    ("(cat:0)", [("cat", 0.0)]),
    ("(cat:-1)", [("cat", -1.0)]),
    ("(cat: .5 )", [("cat", 0.5)]),
    ("(cat:1e1)", [("cat", 10.0)]),
    ("[cat] BREAK [a:b:0.5]", [("[cat] BREAK [a:b:0.5]", 1.0)]),
    ("(a)(b)", [("a", 1.1), ("b", 1.1)]),
    ("a) (b) (c)", [("a) (b) (c)", 1.0)]),
    ("a)( (c)", [("a)( ", 1.0), ("c", 1.1)]),
    ("(a (b)", [("a ", 1.1), ("(b", 1.1)]),
    (r"a \o/ \\(b", [(r"a \o/ \(b", 1.0)]),
]


@pytest.mark.parametrize(("text", "expected"), COMFY_EXAMPLES)
def test_comfy_examples(text: str, expected: Pairs) -> None:
    (section,) = read(text, "comfy")
    assert_same(section, expected)


def split_groups(text: str) -> list[str]:
    """What ComfyUI's reading says, plainly: pieces are what parentheses at depth 0 enclose, and what lies between."""
    pieces, piece, depth = [], "", 0
    for character in text:
        if character == "(" and depth == 0:
            pieces.append(piece)
            piece = ""
        depth += {"(": 1, ")": -1}.get(character, 0)
        piece += character
        if character == ")" and depth == 0:
            pieces.append(piece)
            piece = ""
    return [part for part in [*pieces, piece] if part]


def comfy_reference(text: str, weight: float = 1.0) -> Pairs:
    """The recursive definition of ComfyUI's weights (escapes are tested by example)."""
    found: Pairs = []
    for piece in split_groups(text):
        if len(piece) < 2 or piece[0] != "(" or piece[-1] != ")":
            found.append((piece, weight))
            continue
        inner, inner_weight = piece[1:-1], weight * 1.1
        head, colon, tail = inner.rpartition(":")
        if colon and head:
            with contextlib.suppress(ValueError):
                inner, inner_weight = head, float(tail)
        found += comfy_reference(inner, inner_weight)
    return [(part, max(-MAX_WEIGHT, min(MAX_WEIGHT, each))) for part, each in found]


def a1111_reference(text: str) -> Pairs:
    """The definition of A1111's weights in quadratic time, for brackets and explicit weights of one digit."""
    found: list[tuple[str, float]] = []
    starts: dict[str, list[int]] = {"(": [], "[": []}

    def scale(start: int, factor: float) -> None:
        found[start:] = [(part, weight * factor) for part, weight in found[start:]]

    position = 0
    while position < len(text):
        character, here = text[position], text[position : position + 3]
        position += 1
        if character in "([":
            starts[character].append(len(found))
        elif len(here) == 3 and here[0] == ":" and here[1].isdigit() and here[2] == ")" and starts["("]:
            scale(starts["("].pop(), float(here[1]))
            position += 2
        elif character == ")" and starts["("]:
            scale(starts["("].pop(), 1.1)
        elif character == "]" and starts["["]:
            scale(starts["["].pop(), 1 / 1.1)
        else:
            found.append((character, 1.0))
    for start in starts["("]:
        scale(start, 1.1)
    for start in starts["["]:
        scale(start, 1 / 1.1)
    return [(part, max(-MAX_WEIGHT, min(MAX_WEIGHT, each))) for part, each in found]


def per_character(pairs: Pairs) -> Pairs:
    return [(character, weight) for text, weight in pairs for character in text]


@given(st.text(alphabet="((()))ab:1.2- ", max_size=40))
def test_comfy_agrees_with_its_recursive_definition(text: str) -> None:
    (section,) = read(text, "comfy")
    assert_same(section, comfy_reference(text))


@given(st.text(alphabet="(())[]ab:12", max_size=40))
def test_a1111_agrees_with_its_quadratic_definition(text: str) -> None:
    (section,) = read(text, "a1111")
    if any(character * 2 in text for character in "12"):
        return
    assert_same(per_character(section), per_character(a1111_reference(text)))


@pytest.mark.parametrize("dialect", DIALECTS)
@given(text=ANY_TEXT)
def test_any_text_is_read(dialect: Dialect, text: str) -> None:
    sections = parse_prompt(text, dialect)
    assert sections
    for fragment in (fragment for section in sections for fragment in section):
        assert fragment.text
        assert -MAX_WEIGHT <= fragment.weight <= MAX_WEIGHT


@pytest.mark.parametrize("dialect", DIALECTS)
@given(text=ANY_TEXT)
def test_no_character_is_invented_or_moved(dialect: Dialect, text: str) -> None:
    remaining = iter(text)
    written = "".join(fragment.text for section in parse_prompt(text, dialect) for fragment in section)
    assert all(character in remaining for character in written)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(text=st.text(alphabet=st.characters(exclude_characters="()[]\\:B"), min_size=1, max_size=60))
def test_text_without_syntax_is_one_plain_fragment(dialect: Dialect, text: str) -> None:
    assert read(text, dialect) == [[(text, 1.0)]]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "9" * 400, "1" * 50_000])
def test_a_weight_that_is_no_finite_number_is_text(dialect: Dialect, number: str) -> None:
    (section,) = read(f"(cat:{number})", dialect)
    assert section == [(f"cat:{number}", 1.1)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_absurd_weights_are_bounded(dialect: Dialect) -> None:
    assert read("(cat:1000000)", dialect) == [[("cat", MAX_WEIGHT)]]
    assert read("(cat:-1000000)", dialect) == [[("cat", -MAX_WEIGHT)]]


HOSTILE = (
    "(", ")", "[", "]", "[(", "(((a:1.1", "(a:1.1)", "(a", "a)", "\\", "\\(",
    ":", ": ", ":1", " ", "BREAK ", "(:", "((a)", ")(", "<",
)  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("tail", ["", "x:1.1)"])
def test_hostile_repetition_is_read(dialect: Dialect, unit: str, tail: str) -> None:
    text = (unit * (LONG // len(unit)))[: LONG - len(tail)] + tail
    written = sum(len(fragment.text) for section in parse_prompt(text, dialect) for fragment in section)
    assert written <= LONG


@pytest.mark.parametrize("dialect", DIALECTS)
def test_hostile_nesting_is_read(dialect: Dialect) -> None:
    half = LONG // 2
    assert read("(" * half + "x" + ")" * half, dialect) == [[("x", MAX_WEIGHT)]]
    weighted = "(" * 20_000 + "x" + ":1.0)" * 20_000
    assert read(weighted, dialect)[0][0] == ("x", 1.0)


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("masterpiece", "1girl", "masterpiece, 1girl"),
        ("masterpiece, ", " 1girl", "masterpiece, 1girl"),
        ("", "1girl", "1girl"),
        ("masterpiece", "", "masterpiece"),
        ("scenery BREAK", "1girl", "scenery BREAK 1girl"),
        ("scenery", "BREAK 1girl", "scenery BREAK 1girl"),
    ],
)
def test_prompts_join(first: str, second: str, joined: str) -> None:
    assert join_prompts(first, second) == joined
