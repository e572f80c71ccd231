"""Timing that says how sure it is: medians, interleaved, on a machine named in words."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of repeated runs of one thing."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        """The least disturbed run."""
        return min(self.seconds)


def interleaved(things: Sequence[Callable[[], object]], repeats: int) -> list[Timing]:
    """Time several things in turn, so that whatever disturbs the machine disturbs them alike."""
    seconds: list[list[float]] = [[] for _ in things]
    for _ in range(repeats):
        for index, thing in enumerate(things):
            began = time.perf_counter()
            thing()
            seconds[index].append(time.perf_counter() - began)
    return [Timing(tuple(taken)) for taken in seconds]


def machine() -> str:
    """Return the machine in words: processor, cores, system, Python."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
