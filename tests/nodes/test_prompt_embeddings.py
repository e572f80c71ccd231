"""Where prompts name embeddings, and what becomes of names that stand for none."""

import pytest

from nodes.prompts import Dialect, Fragment, find_unknown, parse_prompt, place_embeddings

WORDS = ["negativeXL_D", "bad-hands-5", "bad"]
DIALECTS: tuple[Dialect, ...] = ("a1111", "comfy")


def placed(text: str, dialect: Dialect, words: list[str] = WORDS) -> list[tuple[str, float]]:
    """Return the fragments of a prompt and their weights; embeddings are in angle brackets."""
    sections = place_embeddings(parse_prompt(text, dialect), words, dialect)
    return [(shown(fragment), fragment.weight) for section in sections for fragment in section]


def shown(fragment: Fragment) -> str:
    return f"<{fragment.embedding}>" if fragment.embedding else fragment.text


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("embedding:negativeXL_D", [("<negativeXL_D>", 1)]),
        ("embedding:NEGATIVExl_d, hat", [("<negativeXL_D>", 1), (", hat", 1)]),
        ("a (embedding:negativeXL_D:1.2)", [("a ", 1), ("<negativeXL_D>", 1.2)]),
        ("(lowres, embedding:bad-hands-5)", [("lowres, ", 1.1), ("<bad-hands-5>", 1.1)]),
        ("hat,embedding:bad,embedding:bad.", [("hat,", 1), ("<bad>", 1), (",", 1), ("<bad>", 1), (".", 1)]),
        ("embedding:sdxl/neg/bad.safetensors\nhat", [("<bad>", 1), ("\nhat", 1)]),
        ("embedding:bad.pt", [("<bad>", 1)]),
        ("a embedding:worse hat", [("a ", 1), (" hat", 1)]),
        ("my embedding: a gem, noembedding:x", [("my embedding: a gem, noembedding:x", 1)]),
    ],
)
def test_a_reference_is_read_in_every_dialect(text: str, expected: list[tuple[str, float]], dialect: Dialect) -> None:
    assert placed(text, dialect) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NegativeXL_d, (bad hands:1.2)", [("<negativeXL_D>", 1), (", ", 1), ("<bad>", 1.2), (" hands", 1.2)]),
        ("bad-hands-5,bad", [("<bad-hands-5>", 1), (",", 1), ("<bad>", 1)]),
        ("badly, not_bad, bad2, ébad", [("badly, not_bad, bad2, ébad", 1)]),
        ("bad BREAK hat", [("<bad>", 1), ("hat", 1)]),
    ],
)
def test_the_bare_word_is_read_as_in_a1111(text: str, expected: list[tuple[str, float]]) -> None:
    assert placed(text, "a1111") == expected


def test_the_bare_word_is_text_in_comfy() -> None:
    assert placed("bad, (negativeXL_D:1.2)", "comfy") == [("bad, ", 1), ("negativeXL_D", 1.2)]


def test_a_suffix_may_belong_to_the_word() -> None:
    assert placed("embedding:neg.pt", "comfy", ["neg.pt", "neg"]) == [("<neg.pt>", 1)]


def test_letters_that_only_python_takes_for_the_same_are_others() -> None:
    text = "\N{LATIN SMALL LETTER LONG S}tyle, \N{KELVIN SIGN}ind"
    assert placed(text, "a1111", ["style", "kind"]) == [(text, 1)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_unknown_embeddings_are_told_of_once(dialect: Dialect) -> None:
    texts = ["1girl", "(embedding:worse:1.2), embedding:bad, embedding:worse, embedding:sub/easy.pt"]
    told = find_unknown(texts, WORDS, dialect)
    assert told.startswith('"embedding:worse, embedding:sub/easy.pt" in the prompt: no Embedding node gives')
    assert "it has bad, bad-hands-5, negativeXL_D" in told
    assert find_unknown(["embedding:BAD.pt, lowres"], WORDS, dialect) == ""


def test_many_and_long_names_are_told_of_in_short() -> None:
    told = find_unknown(
        [", ".join(f"embedding:{'x' * 1000}{number}" for number in range(10)) + ", embedding:y"], [], "a1111"
    )
    many = find_unknown([", ".join(f"embedding:x{number}" for number in range(1000))], [], "a1111")
    assert max(len(told), len(many)) < 800
    assert "and 995 more" in many


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "unit",
    ["embedding:", "embedding:a/", "embedding:.", "a/", "./", ".", "bad", "bad-", "embedding:bad", "bad-hands-", "-"],
)
@pytest.mark.parametrize("head", ["", "embedding:", "embedding:a/"])
def test_hostile_repetition_is_read(head: str, unit: str, dialect: Dialect) -> None:
    text = head + unit * (100_000 // len(unit)) + ","
    assert place_embeddings(parse_prompt(text, dialect), WORDS, dialect)
    find_unknown([text], WORDS, dialect)
