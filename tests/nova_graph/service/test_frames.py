"""Messages between the service and its worker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_graph.service.frames import MAX_HEADER, BadFrame, Decoder, Frame, encode

HEADERS = st.dictionaries(
    st.text().filter(lambda name: name != "parts"), st.none() | st.booleans() | st.integers() | st.text(), max_size=4
)
MESSAGES = st.lists(st.tuples(HEADERS, st.lists(st.binary(), max_size=3)), max_size=4)


@given(MESSAGES, st.integers(min_value=1, max_value=50))
def test_messages_survive_however_the_stream_is_cut(
    messages: list[tuple[dict[str, bool | int | str | None], list[bytes]]], size: int
) -> None:
    stream = b"".join(encode(header, parts) for header, parts in messages)
    decoder = Decoder()
    found: list[Frame] = []
    for start in range(0, len(stream), size):
        found += decoder.feed(stream[start : start + size])
    assert found == [Frame(header, tuple(parts)) for header, parts in messages]


@pytest.mark.parametrize(
    "stream",
    [
        (MAX_HEADER + 1).to_bytes(4, "big") + bytes(8),
        b"\xff" * 12,
        b"\0\0\0\x04" + bytes(8) + b"{no}",
        b"\0\0\0\x02" + bytes(8) + b"[]",
        b"\0\0\0\x02" + bytes(8) + b"{}",
        b"\0\0\0\x0d" + bytes(8) + b'{"parts":[1]}',
        b"\0\0\0\x0d" + bytes(7) + b"\x02" + b'{"parts":[1]}ab',
    ],
)
def test_nonsense_is_refused(stream: bytes) -> None:
    with pytest.raises(BadFrame):
        list(Decoder().feed(stream))


def test_words_of_another_type_count_as_missing() -> None:
    frame = Frame({"job": 3, "count": "many", "seconds": None})
    assert (frame.text("job"), frame.count("count"), frame.number("seconds")) == ("", 0, 0.0)
