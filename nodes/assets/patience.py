"""How often and how long to try again."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import FetchError
from nodes.assets.replies import Again


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits in seconds double from `first_wait` to `longest_wait`; what the server asks for comes first.

    `tries` are attempts in a row that brought no new byte, `most` are attempts in all.
    """

    tries: int = 5
    most: int = 100
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_order: float = 300.0
    """A server that asks for a longer wait is not waited for."""

    def wait(self, fruitless: int, after: float | None) -> float:
        """Return how long to wait after `fruitless` attempts in a row, the server having asked for `after`."""
        doubled = min(self.longest_wait, self.first_wait * 2.0 ** min(fruitless - 1, 30))
        return doubled if after is None else max(after, self.first_wait)


class _Effort:
    """Counts attempts that brought nothing."""

    def __init__(self, patience: Patience, progress: Callable[[], int]) -> None:
        self._patience = patience
        self._progress = progress
        self._last = progress()
        self.fruitless = 0

    def note(self) -> None:
        size = self._progress()
        self.fruitless = 1 if size > self._last else self.fruitless + 1
        self._last = size

    def is_spent(self, attempts: int, after: float | None) -> bool:
        asked_too_much = after is not None and after > self._patience.longest_order
        return asked_too_much or self.fruitless >= self._patience.tries or attempts >= self._patience.most


def insist(
    attempt: Callable[[], None],
    *,
    label: str,
    progress: Callable[[], int],
    pause: Callable[[float, str], None],
    patience: Patience,
) -> None:
    """Repeat an attempt while it raises Again and patience lasts; raises FetchError after that.

    `progress` counts the bytes there are; `pause` waits some seconds, with the reason, and may raise Cancelled.
    """
    from tenacity import RetryCallState, Retrying, retry_if_exception_type

    effort = _Effort(patience, progress)

    def trouble(state: RetryCallState) -> Again:
        error = state.outcome.exception() if state.outcome else None
        return error if isinstance(error, Again) else Again("unknown")

    def stop(state: RetryCallState) -> bool:
        effort.note()
        return effort.is_spent(state.attempt_number, trouble(state).after)

    def wait(state: RetryCallState) -> float:
        return patience.wait(effort.fruitless, trouble(state).after)

    reason = ""

    def remember(state: RetryCallState) -> None:
        nonlocal reason
        reason = trouble(state).message

    retrying = Retrying(
        retry=retry_if_exception_type(Again),
        stop=stop,
        wait=wait,
        sleep=lambda seconds: pause(seconds, reason),
        before_sleep=remember,
        reraise=True,
    )
    try:
        retrying(attempt)
    except Again as error:
        asked = f"; it asks to wait {error.after:.0f} s" if error.after else ""
        hint = "What has come so far is kept: try again later." if progress() else "Check the connection, or try later."
        raise FetchError(f"{label}: {error.message}{asked}; gave up", hint=hint) from None
