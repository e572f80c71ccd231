"""Cutting token ids into chunks of 75, by the rules of A1111 and of ComfyUI."""

from hypothesis import given
from hypothesis import strategies as st

from nodes.sdxl.prompt.chunks import CHUNK_TOKENS, Chunk, Piece, split_at_commas, split_between_pieces

COMMA = 9
PIECES = st.lists(
    st.builds(Piece, st.lists(st.sampled_from([1, 2, COMMA]), min_size=1, max_size=100).map(tuple), st.just(1.0)),
    max_size=8,
)


def plain(*ids: int) -> list[Piece]:
    return [Piece(ids, 1.0)]


def lengths(chunks: list[Chunk]) -> list[int]:
    return [sum(len(piece.ids) for piece in chunk) for chunk in chunks]


def tokens(pieces: Chunk | list[Piece]) -> list[tuple[int, float]]:
    return [(number, piece.weight) for piece in pieces for number in piece.ids]


def test_nothing_is_one_empty_chunk() -> None:
    assert split_at_commas([], COMMA) == [()]
    assert split_between_pieces([]) == [()]


def test_a_full_chunk_is_not_split() -> None:
    assert lengths(split_at_commas(plain(*[1] * 75), COMMA)) == [75]
    assert lengths(split_between_pieces(plain(*[1] * 75))) == [75]


def test_text_without_commas_is_cut_where_the_chunk_is_full() -> None:
    assert lengths(split_at_commas(plain(*[1] * 160), COMMA)) == [75, 75, 10]
    assert lengths(split_between_pieces(plain(*[1] * 160))) == [75, 75, 10]


def test_a_chunk_ends_with_a_comma_within_reach() -> None:
    ids = [1] * 100
    ids[55] = COMMA
    assert lengths(split_at_commas(plain(*ids), COMMA)) == [56, 44]


def test_a_comma_out_of_reach_does_not_matter() -> None:
    ids = [1] * 100
    ids[54] = COMMA
    assert lengths(split_at_commas(plain(*ids), COMMA)) == [75, 25]


def test_the_last_of_several_commas_counts() -> None:
    ids = [1] * 100
    ids[60] = ids[70] = COMMA
    assert lengths(split_at_commas(plain(*ids), COMMA)) == [71, 29]


def test_nothing_moves_when_the_next_token_is_a_comma() -> None:
    ids = [1] * 100
    ids[60] = ids[75] = COMMA
    assert lengths(split_at_commas(plain(*ids), COMMA)) == [75, 25]


def test_a_short_piece_is_not_cut_by_comfy() -> None:
    pieces = [Piece((1,) * 70, 1.0), Piece((2,) * 7, 1.2), Piece((3,) * 5, 1.0)]
    assert lengths(split_between_pieces(pieces)) == [70, 12]


def test_a_piece_of_eight_tokens_is_cut_by_comfy() -> None:
    pieces = [Piece((1,) * 70, 1.0), Piece((2,) * 8, 1.2)]
    assert split_between_pieces(pieces) == [
        (Piece((1,) * 70, 1.0), Piece((2,) * 5, 1.2)),
        (Piece((2,) * 3, 1.2),),
    ]


@given(PIECES)
def test_chunks_hold_every_token_once_in_order(pieces: list[Piece]) -> None:
    for chunks in (split_at_commas(pieces, COMMA), split_between_pieces(pieces)):
        assert [pair for chunk in chunks for pair in tokens(chunk)] == tokens(pieces)
        assert max(lengths(chunks)) <= CHUNK_TOKENS
        assert all(piece.ids for chunk in chunks for piece in chunk)


def whole(*ids: int) -> Piece:
    return Piece(ids, 1.0, whole=True)


def test_a_whole_piece_that_would_be_cut_starts_the_next_chunk() -> None:
    """As in A1111: the chunk before it ends there, whether there is a comma or not."""
    text = [1] * 70
    text[65] = COMMA
    chunks = split_at_commas([*plain(*text), whole(*[3] * 8), *plain(1)], COMMA)
    assert lengths(chunks) == [70, 9]
    assert chunks[1][0] == whole(*[3] * 8)


def test_a_whole_piece_behind_a_full_chunk_follows_what_is_behind_the_comma() -> None:
    text = [1] * 75
    text[65] = COMMA
    chunks = split_at_commas([*plain(*text), whole(*[3] * 8)], COMMA)
    assert lengths(chunks) == [66, 17]


def test_a_whole_piece_that_fits_stays() -> None:
    assert lengths(split_at_commas([*plain(*[1] * 67), whole(*[3] * 8), *plain(1)], COMMA)) == [75, 1]
    assert lengths(split_at_commas([*plain(1), whole(*[3] * 75), *plain(1)], COMMA)) == [1, 75, 1]


def test_a_whole_piece_that_fits_into_no_chunk_is_cut() -> None:
    assert lengths(split_at_commas([*plain(1), whole(*[3] * 80)], COMMA)) == [75, 6]


WHOLE = st.lists(st.just(3), min_size=1, max_size=75).map(lambda ids: whole(*ids))


@given(st.lists(st.one_of(PIECES.filter(bool).map(lambda pieces: pieces[0]), WHOLE), max_size=8))
def test_no_whole_piece_is_cut(pieces: list[Piece]) -> None:
    chunks = split_at_commas(pieces, COMMA)
    assert max(lengths(chunks)) <= CHUNK_TOKENS
    assert [piece for chunk in chunks for piece in chunk if piece.whole] == [piece for piece in pieces if piece.whole]
    assert [token for chunk in chunks for token in tokens(chunk)] == tokens(pieces)
