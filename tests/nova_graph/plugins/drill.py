"""Node types that need no model: arithmetic, waiting, failing, painting."""

import sys
import time
from typing import Annotated

from pydantic import Field

from engine import Context, Node, Output
from engine.assets import AssetPort
from engine.errors import AssetRefused
from nodes.values import Array, Image


class Number(Output):
    value: int


class Plus(Node[Number]):
    """Add two numbers."""

    left: int
    right: Annotated[int, Field(ge=0, le=100, description="At most a hundred.")] = 1

    def run(self, ctx: Context) -> Number:
        return Number(value=self.left + self.right)


class Wait(Node[Number]):
    """Take many steps; a stubborn one does not listen."""

    steps: int
    stubborn: bool = False

    def run(self, ctx: Context) -> Number:
        for step in range(self.steps):
            if not self.stubborn:
                ctx.progress(step + 1, self.steps, preview=lambda: b"small")
            time.sleep(0.01)
        return Number(value=self.steps)


class Break(Node[Number]):
    """Fail, by a fault, for want of weights, or with a text."""

    left: int
    refuse: bool = False
    text: str = ""

    def run(self, ctx: Context) -> Number:
        if self.text:
            raise ValueError(self.text)
        if self.refuse:
            raise AssetRefused("the weights are no weights", hint="Get others.")
        return Number(value=self.left // 0)


class Quit(Node[Number]):
    """End the whole program, and say that all is well."""

    def run(self, ctx: Context) -> Number:
        sys.exit(0)


class Chatter(Node[Number]):
    """Print, and warn, a text."""

    text: str

    def run(self, ctx: Context) -> Number:
        print(self.text)
        ctx.warn(self.text)
        return Number(value=1)


class Named(Node[Number]):
    """Name something outside the graph."""

    weights: Annotated[str, AssetPort("checkpoint")] = "auto"

    def run(self, ctx: Context) -> Number:
        return Number(value=len(ctx.asset("weights").sha256))


class Painted(Output):
    image: Image


class Paint(Node[Painted]):
    """Paint pictures in one grey."""

    grey: Annotated[int, Field(ge=0, le=255)] = 7
    seed: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=1, le=8)] = 1

    def run(self, ctx: Context) -> Painted:
        pixels = Array("U8", (self.count, 8, 16, 3), bytes([self.grey]) * (self.count * 8 * 16 * 3))
        return Painted(image=Image(pixels, tuple(range(self.seed, self.seed + self.count))))
