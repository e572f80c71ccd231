"""Nodes that wait, fail, misbehave or hold on to memory."""

import os
import threading
import time
from dataclasses import dataclass
from typing import ClassVar

from engine import Context, Node, Output, Registry, Value
from tests.engine.arith import Add, Chance, MakeToken, Num, Number, Said, Sum, Token


class Wait(Node[Num]):
    """Wait for a while, as a download would."""

    milliseconds: int
    name: int = 0

    def run(self, ctx: Context) -> Num:
        time.sleep(self.milliseconds / 1000)
        return Num(value=self.name)


class Meet(Node[Num]):
    """Wait until twenty of these run at the same time."""

    meeting: ClassVar[threading.Barrier] = threading.Barrier(20, timeout=60)

    name: int

    def run(self, ctx: Context) -> Num:
        self.meeting.wait()
        return Num(value=self.name)


class DeviceWait(Node[Num]):
    """Wait on the device; fails if it is not alone there."""

    device: ClassVar[bool] = True
    alone: ClassVar[threading.Lock] = threading.Lock()

    milliseconds: int
    name: int = 0

    def run(self, ctx: Context) -> Num:
        if not self.alone.acquire(blocking=False):
            raise RuntimeError("two nodes are on the device")
        try:
            time.sleep(self.milliseconds / 1000)
        finally:
            self.alone.release()
        return Num(value=self.name)


class Fail(Node[Num]):
    """Fail."""

    after: int = 0

    def run(self, ctx: Context) -> Num:
        raise ValueError(f"no {self.after}")


class Speechless(Exception):
    """An error that cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class FailAside(Node[Num]):
    """Fail in a thread of the engine's own, while another of these runs in the thread of the caller."""

    meeting: ClassVar[threading.Barrier] = threading.Barrier(2, timeout=60)

    name: int
    speechless: bool = False

    def run(self, ctx: Context) -> Num:
        self.meeting.wait()
        if threading.current_thread() is not threading.main_thread():
            raise Speechless if self.speechless else ValueError("aside")
        return Num(value=self.name)


class Lie(Node[Num]):
    """Return something else than promised."""

    def run(self, ctx: Context) -> Num:
        return Said(text="not a number")  # type: ignore[return-value]


class Steps(Node[Num]):
    """Count steps, as a sampler would."""

    total: int

    def run(self, ctx: Context) -> Num:
        for step in range(self.total):
            ctx.progress(step + 1, self.total, preview=lambda: b"picture")
        return Num(value=self.total)


class Vandal(Node[Said]):
    """Try to change what it was given."""

    token: Token

    def run(self, ctx: Context) -> Said:
        try:
            self.token.name = "changed"  # type: ignore[misc]
        except AttributeError:
            return Said(text=f"could not change {self.token.name}")
        return Said(text="changed it")


@dataclass(frozen=True, slots=True)
class Block(Value):
    """A megabyte."""

    data: bytes


class Blocked(Output):
    """A block."""

    block: Block


class Fill(Node[Blocked]):
    """Make a megabyte out of another."""

    index: int
    before: Block | None = None

    def run(self, ctx: Context) -> Blocked:
        return Blocked(block=Block(os.urandom(16) * 65536))


class Mistyped(Node[Num]):
    """Give a text for a number."""

    def run(self, ctx: Context) -> Num:
        return Num.model_validate({"value": "1"})


class Kept(int):
    """A number that may hold more than a number, so that it has no canonical form."""


class Odd(Node[Num]):
    """Take a literal that has no canonical form."""

    number: int = 0

    def run(self, ctx: Context) -> Num:
        return Num(value=self.number)


class Rough(Node[Num]):
    """Give a number that is not quite what was asked for, like a device that has too little memory."""

    value: int

    def run(self, ctx: Context) -> Num:
        """Give one more than the number."""
        ctx.makeshift("one more than was asked for")
        return Num(value=self.value + 1)


def waiting() -> Registry:
    """Return a registry with all of them, and some that calculate."""
    return Registry(
        [
            Add,
            Blockless,
            Chance,
            DeviceWait,
            Fail,
            FailAside,
            Fill,
            Lie,
            MakeToken,
            Meet,
            Mistyped,
            Number,
            Odd,
            Rough,
            Steps,
            Sum,
            Vandal,
            Wait,
        ]
    )


class Blockless(Node[Num]):
    """Forget a block."""

    block: Block

    def run(self, ctx: Context) -> Num:
        return Num(value=len(self.block.data))
