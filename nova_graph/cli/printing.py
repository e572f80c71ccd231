"""Standard output, also where its reader has gone away or its disk is full, and texts of strangers on a terminal."""

import os
import re
import sys
from contextlib import suppress
from typing import Final, TextIO

from nova_graph.cli.exits import OutputLost

_STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys instead of showing it, but for line ends and tabs; the last two turn the direction of text."""


def harmless(text: str) -> str:
    """Return a text that somebody else wrote, with codes such as `<U+001B>` for what would steer a terminal."""
    return _STEERING.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def say(text: str) -> None:
    """Write a line for people on standard error, whoever wrote the text."""
    sys.stderr.write(f"{harmless(text)}\n")


class Printer:
    """Writes text and flushes it, so that a reader of a pipe sees it at once; silent after a failure."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._is_lost = False

    def write(self, text: str) -> None:
        """Write; raises BrokenPipeError where the reader has gone away, OutputLost for other reasons, each once."""
        if self._is_lost:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            self._is_lost = True
            silence(self._stream)
            if isinstance(error, BrokenPipeError):
                raise
            raise OutputLost(f"the output cannot be written: {error.strerror}") from error


def silence(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, so that the end of the process does not fail on it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
