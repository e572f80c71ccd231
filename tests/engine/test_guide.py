"""The guide to graph files tells the truth."""

import re
from pathlib import Path

import pytest

from engine import GraphErrors, bind, parse
from engine.openers import FolderOpener
from nodes.library import built_in

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/graphs.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
WHOLE = [block for block in BLOCKS if block.startswith("nova: 1")]
PITFALLS = re.findall(r"^\| `(\{?prompt: .*?)` \| error", GUIDE, re.MULTILINE)


def test_the_guide_has_graphs_and_pitfalls() -> None:
    assert len(WHOLE) == 5
    assert len(PITFALLS) == 5


@pytest.mark.parametrize("text", WHOLE)
def test_its_graphs_bind_without_a_warning(text: str) -> None:
    graph = parse(text, "guide.yaml")
    assert graph.warnings == ()
    assert bind(graph, built_in()).outputs


def test_its_mistakes_are_told_as_it_says() -> None:
    """Also in the README: the lines and columns are those of the shipped graph."""
    shown = re.findall(r"^```\n(graphs/.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    text = (ROOT / "graphs/default.yaml").read_text(encoding="utf-8")
    for right, wrong in (("steps: $inputs.steps", "steps: 0"), ("model: $loader.model", "modle: $loader.model")):
        text = text.replace(right, wrong, 1)
    with pytest.raises(GraphErrors) as caught:
        bind(parse(text, "graphs/default.yaml"), built_in(), opener=FolderOpener(ROOT))
    assert shown == [f"{caught.value}\n"]
    first = str(caught.value.problems[0]).replace("\n", "\n    ")
    assert f"    {first}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def with_prompt(written: str) -> str:
    """Return a graph that is right but for how its prompt is written."""
    inputs = f"\n      text_encoders: $l.text_encoders\n      {written}"
    if written.startswith("{"):
        inputs = written.replace("{", " {text_encoders: $l.text_encoders, ")
    nodes = f"  l: {{type: CheckpointLoader}}\n  e:\n    type: Encoder\n    inputs:{inputs}"
    return f"nova: 1\nnodes:\n{nodes}\noutputs: {{c: $e.conditioning}}\n"


@pytest.mark.parametrize("written", PITFALLS)
def test_its_pitfalls_are_errors(written: str) -> None:
    with pytest.raises(GraphErrors):
        bind(parse(with_prompt(written), "guide.yaml"), built_in())


@pytest.mark.parametrize(
    "written", ['prompt: "@_@"', 'prompt: "rating: safe"', "prompt: $$5", '{prompt: "1girl, solo"}']
)
def test_its_remedies_help(written: str) -> None:
    assert bind(parse(with_prompt(written), "guide.yaml"), built_in()).outputs


def test_its_block_is_one_line_of_text() -> None:
    block = next(block for block in BLOCKS if block.startswith("prompt: >-"))
    text = "nova: 1\ninputs:\n  prompt:\n    type: string\n" + "".join(
        f"    {line}\n" for line in block.replace("prompt:", "default:").splitlines()
    )
    graph = parse(text + "nodes: {l: {type: CheckpointLoader}}\noutputs: {vae: $l.vae}\n")
    expected = "1girl, solo, @_@, rating: safe, (blue hair:1.2), #1 artist"
    assert graph.inputs["prompt"].default == expected
