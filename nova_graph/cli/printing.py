"""Standard output, also where its reader has gone away or its disk is full."""

import os
import sys
from contextlib import suppress
from typing import TextIO

from nova_graph.cli.exits import OutputLost


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
