"""Errors as text, and the exit code that belongs to them."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import Cancelled, NodeError, NovaError
from nova_graph.cli.exits import FAILED, OK, UsageError, exit_code
from nova_graph.cli.printing import Printer, harmless, silence

_SEE_WHERE = "Run it again with --traceback, or NOVA_DEBUG=1, to see where."
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class Outcome:
    """How a command ended; a command sets `code` where it ends neither well nor by an error."""

    code: int = OK


@contextmanager
def reporting(*, traceback: bool, on_error: Callable[[BaseException, int], None] | None = None) -> Iterator[Outcome]:
    """Print errors as their text on standard error, and note the exit code; with `traceback`, where they came from too.

    `on_error` is told of them as well.
    """
    outcome = Outcome()
    try:
        with _explained():
            yield outcome
        Printer(sys.stdout).write("")
    except (NovaError, KeyboardInterrupt) as error:
        outcome.code = exit_code(error)
        _print(str(error) or Cancelled().message, traceback=traceback)
        if isinstance(error, NodeError) and not isinstance(error.cause, NovaError) and not traceback:
            _print(f"  {_SEE_WHERE}", traceback=False)
        if on_error is not None:
            on_error(error, outcome.code)
    except BrokenPipeError:
        outcome.code = FAILED
        silence(sys.stdout)
    except Exception as error:  # noqa: BLE001 - the last door: whatever else comes here is a fault of ours
        outcome.code = FAILED
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            _print(f"the output cannot be written: {error.strerror}", traceback=traceback)
            silence(sys.stdout)
            return
        _print(f"this is a fault in nova-graph: {type(error).__name__}: {error}", traceback=traceback)
        if not traceback:
            _print(_SEE_WHERE, traceback=False)
        if on_error is not None:
            on_error(error, outcome.code)


@contextmanager
def _explained() -> Iterator[None]:
    """Say of a file that is not found that the working directory is not there, where that is why; raises UsageError."""
    try:
        yield
    except FileNotFoundError as error:
        if error.filename is not None or _is_somewhere():
            raise
        gone = "the working directory is gone: it was deleted or moved"
        raise UsageError(gone, hint="Change to another one with cd.") from error


def _is_somewhere() -> bool:
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


def _print(text: str, *, traceback: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    if traceback:
        import traceback as traces

        traces.print_exc(file=sys.stderr)
    Console(stderr=True, highlight=False).print(Text(harmless(text), style="red"), soft_wrap=True)
