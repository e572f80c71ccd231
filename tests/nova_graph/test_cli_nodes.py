"""The reference of node types."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from engine import Node, Output, Registry
from engine.declaration import declare
from nodes.library import built_in
from nodes.values import Image
from nova_graph.cli.node_help import flowing, input_help, markdown, node_rows, output_help

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "nodes.md"


class Toned(Output):
    image: Image = Field(description="The toned picture.")


class Tone(Node[Toned]):
    """Tone a picture.

    Warmly | or not.
    """

    image: Image
    steps: Annotated[int | None, Field(ge=1, le=9, multiple_of=2, description="How often")] = None
    warmth: Annotated[float, Field(gt=0, description="How warm | cold.")] = 0.5
    layers: Annotated[tuple[str, ...], Field(min_length=1)] = ("mid",)
    mood: Literal["calm", "loud"] = "calm"
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0


def test_the_written_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text() == markdown(built_in()), "run `nova-graph nodes --markdown > docs/nodes.md`"


def test_ports_are_told_with_types_bounds_and_defaults() -> None:
    image, steps, warmth, layers, mood, seed = input_help(declare(Tone))
    assert (image.type, image.default, image.description) == ("Image", "required", "")
    assert (steps.type, steps.default) == ("integer or null", "empty")
    assert steps.description == "How often. 1 to 9, a multiple of 2."
    assert warmth.description == "How warm | cold. Above 0."
    assert (layers.type, layers.default, layers.description) == ("list of string", '["mid"]', "At least 1 item.")
    assert mood.choices == ('"calm"', '"loud"')
    assert seed.description == "0 to 2^64-1."
    assert output_help(declare(Tone))[0].description == "The toned picture."


def test_markdown_tables_survive_bars() -> None:
    text = markdown(Registry([Tone]))
    assert "- [Tone](#tone): Tone a picture." in text
    assert '| `mood` | "calm", "loud" | "calm" |  |' in text.splitlines()
    assert "| `warmth` | number | 0.5 | How warm \\| cold. Above 0. |" in text.splitlines()


def test_node_types_are_listed_by_name() -> None:
    names = [name for name, _ in node_rows(built_in())]
    assert names == sorted(names)
    assert "Sampler" in names


def test_a_terminal_breaks_the_lines_of_a_paragraph() -> None:
    assert flowing("Tone a picture.\n\nWarmly\nor not.") == "Tone a picture.\n\nWarmly or not."
