"""From sections of weighted text to chunks of weighted tokens."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from transformers import CLIPTokenizer

from nodes.prompts import PromptError, Section
from nodes.sdxl.prompt.chunks import CHUNK_TOKENS, Chunk, Piece, split_at_commas, split_between_pieces

MAX_CHUNKS = 64
MAX_TOKENS = MAX_CHUNKS * CHUNK_TOKENS

Splitting = Literal["commas", "pieces"]
"""How long text is cut into chunks: near a comma, or between short pieces."""


def tokenize(
    sections: Sequence[Section],
    tokenizer: CLIPTokenizer,
    splitting: Splitting,
    words: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
) -> list[Chunk]:
    """Turn each section into one or more chunks; raises PromptError beyond 64 chunks.

    Every fragment is tokenized by itself, as A1111 and ComfyUI do. Text that looks like a special token stays text:
    not only `<|endoftext|>`, but also `!`, which pads the second encoder (diffusers reads it as padding there).
    `words` has the ids of embeddings.
    """
    written = sum(1 for section in sections for fragment in section if fragment.text.strip())
    if max(written, len(sections)) > MAX_TOKENS:
        raise _too_long(f"more than {MAX_TOKENS} pieces")
    pieces = [list(_pieces(section, tokenizer, words)) for section in sections]
    total = sum(len(piece.ids) for section in pieces for piece in section)
    if total > MAX_TOKENS:
        raise _too_long(f"{total} tokens")
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    chunks: list[Chunk] = []
    for section in pieces:
        chunks.extend(split_at_commas(section, comma) if splitting == "commas" else split_between_pieces(section))
    if len(chunks) > MAX_CHUNKS:
        raise _too_long(f"{len(chunks)} chunks")
    return chunks


def _pieces(section: Section, tokenizer: CLIPTokenizer, words: Mapping[str, tuple[int, ...]]) -> Iterator[Piece]:
    """Yield the tokens of each fragment that has any."""
    written = [fragment for fragment in section if fragment.text.strip()]
    spelled = iter(_ids([fragment.text for fragment in written if not fragment.embedding], tokenizer))
    for fragment in written:
        ids = words[fragment.embedding] if fragment.embedding else tuple(next(spelled))
        if ids:
            yield Piece(ids, fragment.weight, whole=bool(fragment.embedding), continued=fragment.continued)


def _ids(texts: list[str], tokenizer: CLIPTokenizer) -> list[list[int]]:
    if not texts:
        return []
    encoded = tokenizer(texts, add_special_tokens=False, split_special_tokens=True, truncation=False, verbose=False)
    ids: list[list[int]] = encoded.input_ids
    return ids


def _too_long(size: str) -> PromptError:
    return PromptError(
        f"the prompt comes to {size}; at most {MAX_CHUNKS} chunks of {CHUNK_TOKENS} tokens ({MAX_TOKENS}) are encoded",
        hint="Shorten the prompt, or use fewer BREAKs.",
    )
