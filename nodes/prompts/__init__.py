"""What people write as a prompt, turned into weighted fragments; no torch, no tokenizer."""

from nodes.prompts.errors import PromptError
from nodes.prompts.foreign import find_foreign
from nodes.prompts.fragments import MAX_WEIGHT, Dialect, Fragment, Section, dialect_of
from nodes.prompts.parser import join_prompts, parse_prompt
from nodes.prompts.text import MAX_CHARACTERS, PromptText

__all__ = [
    "MAX_CHARACTERS",
    "MAX_WEIGHT",
    "Dialect",
    "Fragment",
    "PromptError",
    "PromptText",
    "Section",
    "dialect_of",
    "find_foreign",
    "join_prompts",
    "parse_prompt",
]
