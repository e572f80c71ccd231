"""Token ids in chunks that a CLIP text encoder can take: 75 and no more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

CHUNK_TOKENS = 75
"""CLIP's window of 77 without its start and end tokens."""

COMMA_REACH = 20
"""How many tokens of a full chunk may move to the next one so that the chunk ends with a comma."""

WORD_TOKENS = 8
"""Fragments shorter than this are not cut in two by the comfy weighting."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring tokens of one fragment; `weight` 1 is plain.

    `whole` asks that they stay in one chunk; `continued` says that the fragment began with the piece before.
    """

    ids: tuple[int, ...]
    weight: float
    whole: bool = False
    continued: bool = False


Chunk = tuple[Piece, ...]
"""At most 75 tokens."""


def split_at_commas(pieces: Sequence[Piece], comma: int) -> list[Chunk]:
    """Fill chunks, ending each with the last comma among its last 20 tokens if the next token is no comma.

    A piece that is to stay whole and would be cut starts the next chunk. At least one chunk. The rule of
    AUTOMATIC1111's web UI.
    """
    ids = [number for piece in pieces for number in piece.ids]
    uncut = _uncut(pieces)
    lengths: list[int] = []
    start = 0
    while len(ids) - start > CHUNK_TOKENS:
        end = uncut[start + CHUNK_TOKENS]
        if end == start + CHUNK_TOKENS and ids[end] != comma:
            end = _after_comma(ids, comma, end)
        lengths.append(end - start)
        start = end
    lengths.append(len(ids) - start)
    return _cut(pieces, lengths)


def split_between_pieces(pieces: Sequence[Piece]) -> list[Chunk]:
    """Fill chunks to the last token, but move a piece of fewer than 8 tokens to the next one rather than cut it.

    At least one chunk. The rule of ComfyUI.
    """
    lengths: list[int] = []
    used = 0
    for piece in pieces:
        left = len(piece.ids)
        while left > CHUNK_TOKENS - used:
            if len(piece.ids) >= WORD_TOKENS:
                left -= CHUNK_TOKENS - used
                used = CHUNK_TOKENS
            lengths.append(used)
            used = 0
        used += left
    lengths.append(used)
    return _cut(pieces, lengths)


def _uncut(pieces: Sequence[Piece]) -> list[int]:
    """Return for each token the last place up to it where a chunk may end: before the piece, if that stays whole."""
    places: list[int] = []
    for piece in pieces:
        first, length = len(places), len(piece.ids)
        whole = piece.whole and length <= CHUNK_TOKENS
        places.extend([first] * length if whole else range(first, first + length))
    return places


def _after_comma(ids: Sequence[int], comma: int, end: int) -> int:
    """Return the place behind the last comma within reach of `end`, or `end`."""
    for position in range(end - 1, end - COMMA_REACH - 1, -1):
        if ids[position] == comma:
            return position + 1
    return end


def _cut(pieces: Sequence[Piece], lengths: Iterable[int]) -> list[Chunk]:
    """Cut pieces into chunks of these many tokens."""
    chunks: list[Chunk] = []
    rest = iter(pieces)
    piece = Piece((), 1.0)
    for length in lengths:
        chunk: list[Piece] = []
        room = length
        while room > 0:
            if not piece.ids:
                piece = next(rest)
            taken = piece.ids[:room]
            chunk.append(replace(piece, ids=taken))
            piece = replace(piece, ids=piece.ids[room:])
            room -= len(taken)
        chunks.append(tuple(chunk))
    return chunks
