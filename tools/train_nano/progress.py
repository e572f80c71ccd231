"""How far a run has come, and how long it will still take."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

QUIET_SECONDS = 30.0
"""Without a terminal, a line is written at most this often."""


class Progresses:
    """One bar for each stage on a terminal; lines in a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description:10}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[told]}"),
        )
        self._bars = Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}
        self._begun: dict[str, tuple[float, float]] = {}
        self._told = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, stage: str, progress: float, figures: Mapping[str, float]) -> None:
        """Show how far a stage has come."""
        now = time.monotonic()
        begun, start = self._begun.setdefault(stage, (now, progress))
        left = (1 - progress) * (now - begun) / (progress - start) if progress > start else None
        told = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
        text = f"{_duration(left)} left  {told}"
        if self._console.is_terminal:
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(stage, total=1.0, told="")
            self._bars.update(self._tasks[stage], completed=progress, told=text)
        elif progress >= 1 or now - self._told > QUIET_SECONDS:
            self._console.print(f"{stage}: {progress:.1%}, {text}")
            self._told = now

    def tell(self, text: str) -> None:
        """Write a line."""
        self._console.print(text)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
