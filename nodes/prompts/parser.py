"""From the text of a prompt to sections of weighted fragments."""

from nodes.prompts.a1111 import parse_a1111
from nodes.prompts.comfy import parse_comfy
from nodes.prompts.fragments import Dialect, Section


def parse_prompt(text: str, dialect: Dialect) -> tuple[Section, ...]:
    """Split a prompt into sections (at BREAK) of weighted fragments, at least one; linear in time, and never fails."""
    if dialect == "comfy":
        return (parse_comfy(text),)
    return parse_a1111(text)


def join_prompts(first: str, second: str) -> str:
    """Put one prompt before another, with a comma between tags and none beside BREAK."""
    first, second = first.strip(), second.strip()
    if not first or not second:
        return first or second
    joined = first.endswith((",", "BREAK")) or second.startswith((",", "BREAK"))
    return f"{first}{' ' if joined else ', '}{second}"
