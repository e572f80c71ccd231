"""A slow machine fails no test."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=1, database=None)
@given(st.just(1))
def test_an_example_may_take_longer_than_hypothesis_gives_it(number: int) -> None:
    time.sleep(0.25)
    assert number == 1
