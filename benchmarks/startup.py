"""What a command costs that only looks at a graph, beside what importing its libraries costs."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from benchmarks.measure import Timing, interleaved

ROOT = Path(__file__).resolve().parent.parent
GRAPH = "graphs/default.yaml"
LIBRARIES = "import typer, pydantic, yaml; from pydantic import BaseModel"
COMMANDS = (("--help",), ("check", GRAPH), ("nodes",), ("schema",), ("plan", GRAPH))


@dataclass(frozen=True, slots=True)
class Startup:
    """Seconds of one command in a new process: on the clock, and of the processor."""

    name: str
    clock: Timing
    processor: Timing


def measure(repeats: int) -> list[Startup]:
    """Measure the commands in turn; the libraries alone come first."""
    lines = {"libraries alone": ["-c", LIBRARIES]}
    lines |= {" ".join(words[:1]): ["-m", "nova_graph", *words] for words in COMMANDS}
    # As for whoever uses the program: its source is compiled once, not by every command.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    processor: dict[str, list[float]] = {name: [] for name in lines}

    def start(name: str) -> None:
        before = _used()
        subprocess.run([sys.executable, *lines[name]], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, check=True)
        processor[name].append(_used() - before)

    clocks = interleaved([partial(start, name) for name in lines], repeats)
    return [Startup(name, clock, Timing(tuple(processor[name]))) for name, clock in zip(lines, clocks, strict=True)]


def _used() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
