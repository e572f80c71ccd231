"""What people write as a prompt, turned into weighted fragments; no torch, no tokenizer."""

from nodes.prompts.embeddings import LONGEST_WORD, WORD, find_unknown, named_embeddings, place_embeddings
from nodes.prompts.errors import PromptError
from nodes.prompts.foreign import find_foreign
from nodes.prompts.fragments import MAX_WEIGHT, Dialect, Fragment, Section, dialect_of
from nodes.prompts.parser import join_prompts, parse_prompt
from nodes.prompts.text import MAX_CHARACTERS, PromptText

__all__ = [
    "LONGEST_WORD",
    "MAX_CHARACTERS",
    "MAX_WEIGHT",
    "WORD",
    "Dialect",
    "Fragment",
    "PromptError",
    "PromptText",
    "Section",
    "dialect_of",
    "find_foreign",
    "find_unknown",
    "join_prompts",
    "named_embeddings",
    "parse_prompt",
    "place_embeddings",
]
