"""Nodes that do what jobs may do to a worker, given to it as a folder of a user's own."""

import logging
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from engine import Context, Handle, Loading, Node, Output
from nodes.values import File, Files


class Num(Output):
    """One whole number."""

    value: int


class Drawn(Output):
    """Encoded pictures."""

    file: Files


class Number(Node[Num]):
    """Give a whole number."""

    stored: ClassVar[bool] = False

    value: int

    def run(self, ctx: Context) -> Num:
        return Num(value=self.value)


class Add(Node[Num]):
    """Add two whole numbers."""

    stored: ClassVar[bool] = False

    left: int
    right: int

    def run(self, ctx: Context) -> Num:
        return Num(value=self.left + self.right)


class Kept(Node[Num]):
    """Give a whole number that is kept on the disk."""

    value: int

    def run(self, ctx: Context) -> Num:
        return Num(value=self.value)


class Note(Node[Num]):
    """Add a line to a file: whoever reads it knows what ran."""

    pure: ClassVar[bool] = False

    path: str
    value: int = 0
    wait: Annotated[float, Field(ge=0)] = 0.0

    def run(self, ctx: Context) -> Num:
        _write_line(self.path, f"begin {self.value} {os.getpid()}")
        time.sleep(self.wait)
        _write_line(self.path, f"end {self.value} {os.getpid()}")
        return Num(value=self.value)


class Exit(Node[Num]):
    """End the process at once."""

    pure: ClassVar[bool] = False

    status: int = 7

    def run(self, ctx: Context) -> Num:
        os._exit(self.status)


class Quit(Node[Num]):
    """Ask Python to end."""

    pure: ClassVar[bool] = False

    value: int = 0

    def run(self, ctx: Context) -> Num:
        sys.exit(self.value)


class Signal(Node[Num]):
    """Send the process a signal, the first so many times; a file counts them."""

    pure: ClassVar[bool] = False

    path: str
    number: int = int(signal.SIGKILL)
    times: int = 1

    def run(self, ctx: Context) -> Num:
        _write_line(self.path, "signal")
        count = len(Path(self.path).read_text().splitlines())
        if count <= self.times:
            os.kill(os.getpid(), self.number)
            time.sleep(10)
        return Num(value=count)


@dataclass(frozen=True, slots=True)
class Loaded(Handle[str]):
    """Something to be loaded; a file counts how often it is."""

    path: str

    def load(self, loading: Loading) -> str:
        _write_line(self.path, "loaded")
        return self.path


class Use(Node[Num]):
    """Give a number with the help of something that stays loaded."""

    pure: ClassVar[bool] = False

    path: str
    value: int

    def run(self, ctx: Context) -> Num:
        with ctx.resident(Loaded(self.path)):
            return Num(value=self.value)


class Eat(Node[Num]):
    """Eat all the memory that there may be: so many bytes more than the process has now."""

    pure: ClassVar[bool] = False

    path: str
    limit: int = 64 << 20
    times: int = 1
    tile: int | None = None

    def run(self, ctx: Context) -> Num:
        _write_line(self.path, f"tile {self.tile}")
        if len(Path(self.path).read_text().splitlines()) > self.times:
            return Num(value=self.tile or 0)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + self.limit, before[1]))
        try:
            return Num(value=len(bytearray(self.limit * 4)))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)


class Lose(Node[Num]):
    """Fail as torch does where the device will not answer again."""

    pure: ClassVar[bool] = False

    def run(self, ctx: Context) -> Num:
        raise RuntimeError("CUDA error: device-side assert triggered")


class Fail(Node[Num]):
    """Raise."""

    pure: ClassVar[bool] = False

    text: str = "it cannot be done"

    def run(self, ctx: Context) -> Num:
        raise ValueError(self.text)


class Wait(Node[Num]):
    """Work until the job is cancelled, with progress and previews on the way."""

    pure: ClassVar[bool] = False

    path: str = ""
    steps: int = 100_000
    pause: float = 0.01

    def run(self, ctx: Context) -> Num:
        if self.path:
            _write_line(self.path, f"waiting {os.getpid()}")
        for step in range(1, self.steps + 1):
            time.sleep(self.pause)
            ctx.progress(step, self.steps, preview=lambda: b"\xff\xd8 a preview")
        return Num(value=self.steps)


class Deaf(Node[Num]):
    """Work on, whatever anybody says."""

    pure: ClassVar[bool] = False

    path: str
    seconds: float = 60.0

    def run(self, ctx: Context) -> Num:
        _write_line(self.path, f"deaf {os.getpid()}")
        time.sleep(self.seconds)
        return Num(value=0)


class Chatter(Node[Num]):
    """Warn very often, and print as much."""

    pure: ClassVar[bool] = False

    times: int = 10

    def run(self, ctx: Context) -> Num:
        for time_ in range(self.times):
            ctx.warn(f"warning {time_}")
            print("printed", time_)
        return Num(value=self.times)


class Blurt(Node[Num]):
    """Log a text as a warning."""

    pure: ClassVar[bool] = False

    text: str

    def run(self, ctx: Context) -> Num:
        logging.getLogger("odd").warning("blurted out: %s", self.text)
        return Num(value=1)


class Babble(Node[Num]):
    """Write into the socket through which the worker speaks."""

    pure: ClassVar[bool] = False

    def run(self, ctx: Context) -> Num:
        os.write(int(sys.argv[1]), b"\xff" * 1000)
        time.sleep(30)
        return Num(value=0)


class Draw(Node[Drawn]):
    """Give files of so many bytes that look like pictures."""

    size: int = 100
    count: int = 1
    seed: Annotated[int, Field(ge=0, le=2**64 - 1)] = 0

    def run(self, ctx: Context) -> Drawn:
        letter = bytes([self.seed % 256])
        return Drawn(
            file=Files(
                tuple(
                    File(letter * (self.size + index), "image/png", 8, 8, self.seed, f"pixels {self.seed}")
                    for index in range(self.count)
                )
            )
        )


def _write_line(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, text.encode() + b"\n")
    os.close(descriptor)
