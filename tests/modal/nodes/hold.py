"""A node type that leaves a file of the Volume open."""

import os
from pathlib import Path
from typing import ClassVar

from engine import Context, Node, Output


class Held(Output):
    value: int


class Hold(Node[Held]):
    """Open a file and never close it."""

    pure: ClassVar[bool] = False

    def run(self, ctx: Context) -> Held:
        return Held(value=os.open(Path(os.environ["NOVA_CACHE_DIR"]) / "held", os.O_CREAT | os.O_RDWR))
