"""What other programs read as syntax, and this one as text, is told of."""

import pytest

from nodes.prompts import Dialect, find_foreign

A1111_ONLY = {
    "[red:blue:0.5] hair": "words cannot change while a picture is drawn",
    "[hat:10]": "words cannot change",
    "1girl, [hat::.5]": "words cannot change",
    "[(red:1.2): 0.5 ]": "words cannot change",
    "[cow|horse] in a field": "words cannot take turns",
    "[(red) | blue|green] hair": "words cannot take turns",
    "1girl AND 1boy": "prompts cannot be combined",
    "1girl\nAND 1boy": "prompts cannot be combined",
}
ANYWHERE = {
    "__hair__": "wildcards",
    "1girl, (__colors/dark*__ hair:1.1)": "wildcards",
    "{red|blue} hair": "none of these words is chosen",
    "{2$$red|blue}": "none of these words is chosen",
    "{hat|}": "none of these words is chosen",
}
PLAIN = [
    "[smile], [[x]], (a:1.2), ((b)), [(c:0.5)], [re:zero], {{cat}}",
    ":), :d, :3, :|, |_|, >:3, @_@, -_-, __, >__<, ^__^, u__u, 6_9, {|}",
    "[:3], [smile, :3], [>:3], [:|], [smile, :|, hat], [|_|], (:3:1.2)",
    "black and white, solo BREAK 2girls, AND, BRAND new, sand AND",
    "a neon sign that says ROCK AND ROLL",
    "my embedding: a gem, embedding:x, __hair, hair__, snake__case__name",
    r"\[red:blue:0.5], \[cow|horse\]",
]


@pytest.mark.parametrize(("text", "said"), [*A1111_ONLY.items(), *ANYWHERE.items()])
def test_foreign_syntax_is_told_of(text: str, said: str) -> None:
    (found,) = find_foreign(["1girl", text], "a1111")
    assert said in found


@pytest.mark.parametrize("text", ANYWHERE)
def test_wildcards_and_choices_are_told_of_in_comfy(text: str) -> None:
    assert find_foreign([text], "comfy") == find_foreign([text], "a1111")


@pytest.mark.parametrize("text", A1111_ONLY)
def test_what_is_text_in_comfyui_is_text_in_comfy(text: str) -> None:
    assert find_foreign([text], "comfy") == ()


@pytest.mark.parametrize("dialect", ["a1111", "comfy"])
@pytest.mark.parametrize("text", PLAIN)
def test_there_is_no_false_alarm(text: str, dialect: Dialect) -> None:
    assert find_foreign([text], dialect) == ()


def test_it_is_quoted_in_short() -> None:
    (found,) = find_foreign(["{" + "a" * 100_000 + "|b}"], "comfy")
    assert found.startswith('"{aaaa')
    assert len(found) < 250


HOSTILE = (
    "[", "[a", "[:1", "[a:1.", ":1", "a:1", ": ", " ", "1", "[a|", "a|", "| ", "{", "{a", "{a|", "|a",
    "__a", "-__a", "__a__", "_", "embedding:", "embedding:a", " AND", "AND ",
)  # fmt: skip


@pytest.mark.parametrize("head", ["", "[", "{", "[a|", "[a:", "__a", "{a|"])
@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_repetition_is_read(head: str, unit: str) -> None:
    find_foreign([head + unit * (100_000 // len(unit)) + "x"], "a1111")


def test_each_prompt_is_read_by_itself() -> None:
    assert find_foreign(["1girl AND", "[hat", "a|b]"], "a1111") == ()
