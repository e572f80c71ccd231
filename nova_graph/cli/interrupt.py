"""Ctrl-C: once stops cleanly between steps, twice at once."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SHOW_CURSOR = b"\x1b[?25h\n"


@contextmanager
def stopping(on_first: Callable[[], None]) -> Iterator[None]:
    """Call `on_first` at the first SIGINT or SIGTERM; end the process at the second, as if it had no handler.

    The call is in a thread of its own: a handler interrupts whatever runs, also in the middle of writing to the
    terminal or of a request, neither of which can be entered again.
    """
    calls: list[threading.Thread] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if calls:
            _end(number)
        calls.append(threading.Thread(target=on_first, name="interrupt", daemon=True))
        calls[0].start()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for call in calls:
            call.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int) -> None:
    """End at once; a progress display may have hidden the cursor."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
