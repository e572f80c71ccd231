"""Ctrl-C and what it calls, in this process."""

import os
import signal
import threading
from types import FrameType

from nova_graph.cli.interrupt import stopping


def test_what_was_interrupted_goes_on_before_the_call_is_over() -> None:
    went_on, heard = threading.Event(), []
    with stopping(lambda: heard.append(went_on.wait(30))):
        os.kill(os.getpid(), signal.SIGINT)
        went_on.set()
    assert heard == [True]


def test_afterwards_signals_are_handled_as_before() -> None:
    numbers: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        numbers.append(number)

    before = signal.signal(signal.SIGTERM, note)
    try:
        with stopping(lambda: None):
            os.kill(os.getpid(), signal.SIGTERM)
        assert numbers == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert numbers == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
