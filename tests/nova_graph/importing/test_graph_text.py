"""Graphs as text: what is written is what is read."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.parse import parse
from engine.reading import read
from nova_graph.importing import graph_text

texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=40)
scalars = (
    texts | st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()
)
tricky = st.sampled_from(
    [
        "no",
        "On",
        "1e5",
        "0x1F",
        ".5",
        "~",
        "null",
        "Null",
        "1:30",
        "# x",
        "- x",
        "a: b",
        " x ",
        "$a.b",
        "'",
        "=",
        "<<",
        "1_000",
        "0o7",
        ".inf",
        "2001-01-01",
    ]
)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True), scalars | tricky, max_size=5))
def test_every_value_comes_back(values: dict[str, Any]) -> None:
    tree: dict[str, Any] = {
        "nova": 1,
        "description": "x",
        "nodes": {"a": {"type": "Encoder", "inputs": {**values, "list": [*values.values()]}}},
        "outputs": {"it": "$a.conditioning"},
    }
    assert read(graph_text(tree), "it").plainly() == tree


def test_it_is_a_graph_that_people_can_read() -> None:
    tree: dict[str, Any] = {
        "nova": 1,
        "inputs": {"seed": {"type": "seed", "default": 7}},
        "nodes": {"paint": {"type": "Paint", "inputs": {"seed": "$inputs.seed", "words": "a: b"}}},
        "outputs": {"image": "$paint.image"},
    }
    assert graph_text(tree) == (
        "nova: 1\n\ninputs:\n  seed: {type: seed, default: 7}\n\nnodes:\n  paint:\n    type: Paint\n"
        '    inputs: {seed: $inputs.seed, words: "a: b"}\n\noutputs:\n  image: $paint.image\n'
    )
    assert set(parse(graph_text(tree)).nodes) == {"paint"}
