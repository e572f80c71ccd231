"""What docs/prompts.md promises."""

import re
from pathlib import Path

import pytest
import yaml

from nodes.prompts import Dialect, parse_prompt

GUIDE = Path(__file__).parents[2] / "docs" / "prompts.md"
ROWS = re.findall(r"^\| `(.+)` \| (`.*` [\d.]+) \| (`.*` [\d.]+) \|$", GUIDE.read_text("utf-8"), re.MULTILINE)


def readings(cell: str) -> list[tuple[str, float]]:
    return [(text, float(weight)) for text, weight in re.findall(r"`([^`]*)` ([\d.]+)", cell)]


def read(text: str, dialect: Dialect) -> list[tuple[str, float]]:
    return [(fragment.text, fragment.weight) for section in parse_prompt(text, dialect) for fragment in section]


def test_the_table_is_found() -> None:
    assert len(ROWS) == 17


@pytest.mark.parametrize(("text", "a1111", "comfy"), ROWS)
def test_the_syntax_table_is_true(text: str, a1111: str, comfy: str) -> None:
    assert read(text, "a1111") == readings(a1111)
    assert read(text, "comfy") == readings(comfy)


def test_the_block_scalar_keeps_every_character() -> None:
    example = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)[-1]
    prompt = yaml.safe_load(example)["inputs"]["prompt"]["default"]
    assert prompt == "@_@, rating: safe, 1girl #cute,\n[background], (blue hair:1.2)\nBREAK\nsaber \\(fate\\)"


@pytest.mark.parametrize(
    "line", ["@_@", "rating: safe, cat", "[cat], hat", "*_*", "&_&", "%_%", ">_<", "{cat}", "1girl #cute", "!_!"]
)
def test_these_tags_do_break_plain_yaml(line: str) -> None:
    try:
        found = yaml.safe_load(f"prompt: {line}")
    except yaml.YAMLError:
        return
    assert found != {"prompt": line}
