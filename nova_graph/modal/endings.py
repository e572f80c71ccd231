"""What became of a call that did not say so itself: its container died, or it was cancelled early."""

from dataclasses import dataclass
from typing import Any

import modal

from nova_graph.service.backend import State


@dataclass(frozen=True, slots=True)
class Ending:
    """The state in which a call leaves its job, and why."""

    state: State
    error: str = ""


def call_of(call_id: str) -> Any:
    """Return a call; nothing is asked of Modal yet."""
    return modal.FunctionCall.from_id(call_id)


async def ending(call_id: str) -> Ending:
    """Return how a call ended: `running` where it did not, `done` where it came to its own end.

    `cancelled` is also said of calls whose container could not start: Modal's errors do not tell the two apart.
    """
    try:
        await call_of(call_id).get.aio(timeout=0)
    except TimeoutError:
        return Ending("running")
    except modal.exception.RemoteError as error:
        return Ending("cancelled", f"Modal ended the call: {error}")
    except Exception as error:  # noqa: BLE001 - the container's own exception, whatever class it has
        return Ending("failed", _reason(error))
    return Ending("done")


def _reason(error: Exception) -> str:
    match error:
        case modal.exception.InternalFailure():
            return f"the container was lost: {error}"
        case modal.exception.FunctionTimeoutError():
            return "the job took longer than a call may"
        case modal.exception.Error():
            return f"the result is gone: {type(error).__name__}"
    return f"{type(error).__name__}: {error}"
