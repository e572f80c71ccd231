"""`python -m nova_graph`, and the command `nova-graph`."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path

CANCELLED = 130


def main() -> None:
    """Run the command line; Ctrl-C before a command has begun ends quietly too."""
    _prepare_streams()
    try:
        from nova_graph.cli.app import app

        try:
            app()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(CANCELLED)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong outside of a command, such as in printing its help
        _end_with(error)


def _end_with(error: Exception) -> None:
    """Say what went wrong as commands do, and end."""
    from nova_graph.cli.guard import reporting
    from nova_graph.cli.performing import is_debugging

    with reporting(traceback=is_debugging()) as outcome:
        raise error
    sys.exit(outcome.code)


def _prepare_streams() -> None:
    """Let nothing that is printed end a command: where a stream was closed, and where its encoding lacks a letter.

    File names whose bytes are no text are printed as these bytes.
    """
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open to the end of the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        is_unicode = sys.stdout.encoding.lower().startswith("utf")
        sys.stdout.reconfigure(errors="surrogateescape" if is_unicode else "backslashreplace")


if __name__ == "__main__":
    main()
