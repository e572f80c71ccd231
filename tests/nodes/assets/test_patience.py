"""How long to wait before the next attempt."""

import pytest

from nodes.assets.patience import Patience
from nodes.assets.replies import retry_after

NOON = 1_792_584_000.0
PATIENCE = Patience(first_wait=1.0, longest_wait=30.0)


def test_waits_double_up_to_a_limit() -> None:
    assert [PATIENCE.wait(number, None) for number in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert PATIENCE.wait(10_000, None) == 30


@pytest.mark.parametrize(("after", "seconds"), [(0.0, 1.0), (7.0, 7.0), (200.0, 200.0)])
def test_what_the_server_asks_for_comes_first(after: float, seconds: float) -> None:
    assert PATIENCE.wait(1, after) == seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Wed, 21 Oct 2026 12:00:30 GMT", 30),
        ("Wed, 21 Oct 2026 11:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after(header, now=NOON) == seconds
