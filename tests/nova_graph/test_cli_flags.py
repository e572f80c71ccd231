"""Graph inputs as flags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.values import Json
from engine.words import Words
from nova_graph.cli.exits import UsageError
from nova_graph.cli.flag_help import flag_rows
from nova_graph.cli.flags import Options, read_flags, read_settings

INPUTS: dict[str, Words] = {
    "prompt": {"type": "string", "default": "cat", "description": "What to draw."},
    "width": {"type": ["integer", "null"], "default": None, "multipleOf": 8},
    "steps": {"type": "integer", "default": 25, "minimum": 1, "maximum": 150},
    "pag_scale": {"type": "number", "default": 3.0, "minimum": 0},
    "seed": {"type": "seed", "default": "random"},
    "face": {"type": "boolean", "default": True},
    "layers": {"type": "array", "items": {"type": "string"}, "default": ["mid"]},
    "sizes": {"type": "array", "items": {"type": "integer"}, "default": []},
    "note": {"type": ["string", "null"]},
    "kind": {"type": "string", "enum": ["a", "b"], "default": "a"},
    "sampler": {"type": "string", "enum": ["euler", "euler_ancestral", "ddim"], "default": "euler"},
}


SAMPLERS = 'must be "euler", "euler_ancestral" or "ddim"'
QUOTES = "is not expected here; put a text with spaces in quotes"
FORGOTTEN = "needs a value, and {1} is a flag; write {0}={1} if you mean that text"


def flags(*tokens: str) -> dict[str, Json]:
    return read_flags(tokens, INPUTS, Options(elsewhere=(("--sweep", "run"),)))


@pytest.mark.parametrize(
    ("tokens", "name", "value"),
    [
        (["--pag-scale", "0"], "pag_scale", 0.0),
        (["--pag_scale=1e-3"], "pag_scale", 0.001),
        (["--prompt", "--not a flag"], "prompt", "--not a flag"),
        (["--prompt="], "prompt", ""),
        (["--prompt=--no-face"], "prompt", "--no-face"),
        (["--prompt", "a=b, (c:1.2)"], "prompt", "a=b, (c:1.2)"),
        (["--prompt", "7"], "prompt", "7"),
        (["--width", ""], "width", None),
        (["--width="], "width", None),
        (["--width", "null"], "width", None),
        (["--width", "64"], "width", 64),
        (["--seed", "7"], "seed", 7),
        (["--seed", "random"], "seed", "random"),
        (["--face"], "face", True),
        (["--no-face"], "face", False),
        (["--face=false"], "face", False),
        (["--layers", "mid,up.0"], "layers", ["mid", "up.0"]),
        (["--layers", '["mid", "a,b"]'], "layers", ["mid", "a,b"]),
        (["--sizes", "1, 2"], "sizes", [1, 2]),
        (["--sizes", ""], "sizes", []),
        (["--note", ""], "note", None),
        (["--note", "null"], "note", "null"),
    ],
)
def test_a_flag_is_read_by_the_type_of_its_input(tokens: list[str], name: str, value: Json) -> None:
    found = flags(*tokens)
    assert found == {name: value}
    assert type(found[name]) is type(value)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["--steps", "ten"], '--steps must be an integer, got "ten"'),
        (["--steps", "1.0"], '--steps must be an integer, got "1.0"'),
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--steps", "\uff11"], '--steps must be an integer, got "\uff11"'),
        (["--width", "65"], "--width must be a multiple of 8, got 65"),
        (["--pag-scale", "nan"], '--pag-scale must be a number, got "nan"'),
        (["--pag-scale", ""], '--pag-scale must be a number, got ""'),
        (["--face=yes"], '--face must be true or false, got "yes"'),
        (["--seed", "-1"], '--seed must be at least 0, got -1; "random" draws a new one'),
        (["--sizes", "1,x"], '--sizes item 2 must be an integer, got "x"'),
        (["--sizes", "[1,"], "--sizes must be a list like [a, b] in JSON, or a,b; got [1,"),
        (["--sampler", "euler_a"], f'--sampler {SAMPLERS}, got "euler_a"; did you mean "euler_ancestral"?'),
        (["--kind", "c"], '--kind must be "a" or "b", got "c"'),
        (["--steps"], "--steps needs a value"),
        (["--step", "3"], "the graph has no input for --step; did you mean --steps?"),
        (["--no-prompt"], "the graph has no input for --no-prompt; did you mean --prompt?"),
        (["--prompt", "--no-face"], f"--prompt {FORGOTTEN.format('--prompt', '--no-face')}"),
        (["--prompt", "--steps=3"], f"--prompt {FORGOTTEN.format('--prompt', '--steps=3')}"),
        (["--steps-count", "3"], "the graph has no input for --steps-count; did you mean --steps?"),
        (["--no-faces"], "the graph has no input for --no-faces; did you mean --no-face?"),
        (["--face", "false"], "--face takes no 'false' behind it; write --face or --no-face"),
        (["-steps", "3"], "'-steps' is not expected here; did you mean --steps?"),
        (["\u2014steps=3"], "'\u2014steps=3' is not expected here; did you mean --steps?"),
        (["--sweep", "steps=1,2"], "--sweep is an option of `nova-graph run` only"),
        (["stray"], "'stray' is not expected here; the graph's inputs are given as --name VALUE"),
        (["prompt=a cat"], "'prompt=a cat' is not expected here; did you mean --prompt?"),
        (["steps", "3"], "'steps' is not expected here; did you mean --steps?"),
        (["-p", "cat"], "'-p' is not expected here; the graph's inputs are given as --name VALUE"),
        (["other.yaml"], "'other.yaml' is not expected here; one graph is taken at a time"),
        (["--prompt", "a", "red", "cat", "--steps", "3"], f"'red' {QUOTES}: --prompt \"a red cat\""),
        (["--steps", "3", "4"], "'4' is not expected here; the graph's inputs are given as --name VALUE"),
        (["--steps", "3", "--steps", "4"], "--steps is given twice"),
    ],
)
def test_what_is_wrong_is_said(tokens: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        flags(*tokens)
    assert str(caught.value) == message


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        flags("--steps", "x", "--prompt", "fine", "--width", "y")
    assert str(caught.value).count("\n") == 1


def test_settings_reach_inputs_whose_names_are_options() -> None:
    assert read_settings(["pag_scale=2", "prompt=a=b"], INPUTS) == {"pag_scale": 2.0, "prompt": "a=b"}
    with pytest.raises(UsageError, match="has no input stepz; did you mean --steps"):
        read_settings(["stepz=2"], INPUTS)
    with pytest.raises(UsageError, match="pag_scale is given twice"):
        read_settings(["pag_scale=2", "pag-scale=3"], INPUTS)
    with pytest.raises(UsageError, match="write it as name=value"):
        read_settings(["steps"], INPUTS)


def test_help_tells_no_bound_that_nobody_reaches() -> None:
    roomy: Words = {"type": "string", "default": "cat", "maxLength": 100_000}
    short: Words = {"type": "string", "default": "cat", "maxLength": 20}
    limits = {flag: limit for flag, _, limit in flag_rows({"roomy": roomy, "short": short})}
    assert limits == {"--roomy TEXT": "default: cat", "--short TEXT": "at most 20 characters; default: cat"}


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_words_give_values_or_a_clear_error(tokens: list[str]) -> None:
    try:
        found = flags(*tokens)
    except UsageError as error:
        found = {}
        message = str(error)
        expected = ("not expected", "no input", "needs a value", "must", "given twice", "behind it")
        if not any(words in message for words in expected):
            raise
    assert set(found) <= set(INPUTS)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_prompt_can_be_given(text: str) -> None:
    assert flags("--prompt", text) == {"prompt": text}
    assert flags(f"--prompt={text}") == {"prompt": text}


def test_the_help_of_flags() -> None:
    rows = {flag: (description, limits) for flag, description, limits in flag_rows(INPUTS)}
    assert rows["--prompt TEXT"] == ("What to draw.", "default: cat")
    assert rows["--width INTEGER"][1] == "a multiple of 8; default: empty"
    assert rows["--steps INTEGER"][1] == "1 to 150; default: 25"
    assert rows["--face / --no-face"][1] == "default: true"
    assert rows["--seed INTEGER|random"][1] == "default: random"
    assert rows["--note TEXT"][1] == "required"
    assert rows["--kind TEXT"][1] == "one of a, b; default: a"
