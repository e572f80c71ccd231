"""What a worker's end means, in words."""

import signal
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended: its exit status, negative for a signal; `why` is set where the service killed it."""

    status: int
    why: str = ""

    @property
    def out_of_memory(self) -> bool:
        """Whether it looks as if the machine had run out of memory: the system kills with SIGKILL then."""
        return not self.why and self.status == -signal.SIGKILL

    @property
    def orderly(self) -> bool:
        """Whether it ended because it was asked to."""
        return not self.why and self.status in (0, -signal.SIGTERM)

    def __str__(self) -> str:
        if self.why:
            return self.why
        if self.status >= 0:
            return f"the worker ended with exit status {self.status}"
        hint = " (out of memory?)" if self.out_of_memory else ""
        return f"the worker was killed by signal {-self.status}, {_name(-self.status)}{hint}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
