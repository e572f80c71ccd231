"""Errors whose text is enough, as exceptions of Modal functions."""

import traceback
from typing import Any

from engine.errors import NovaError


def told(error: NovaError) -> RuntimeError:
    """Return an exception for a Modal function to raise: any client can read it, and it is logged without a traceback.

    Modal's containers print what left a function with `traceback.print_exception`, and `modal run` shows that above its
    own last line, which is the text of the exception. There is no setting for it, so the printing is left out here, of
    this one exception.
    """
    exception = RuntimeError(str(error))
    usual = traceback.print_exception

    def print_exception(kind: Any, value: Any = None, *rest: Any, **words: Any) -> None:
        traceback.print_exception = usual
        if value is not exception:
            usual(kind, value, *rest, **words)

    traceback.print_exception = print_exception
    return exception
