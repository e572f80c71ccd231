"""Nodes that do nothing worth mentioning, for a service: only the last of a chain is kept on the disk."""

from typing import ClassVar

from engine import Context, Node, Output


class Number(Output):
    """One whole number."""

    value: int


class Start(Node[Number]):
    """Give a number."""

    stored: ClassVar[bool] = False

    value: int

    def run(self, ctx: Context) -> Number:
        """Return it."""
        return Number(value=self.value)


class Increment(Node[Number]):
    """Add one."""

    stored: ClassVar[bool] = False

    value: int

    def run(self, ctx: Context) -> Number:
        """Return the next number."""
        return Number(value=self.value + 1)


class Keep(Node[Number]):
    """Pass a number on, and have it kept."""

    value: int

    def run(self, ctx: Context) -> Number:
        """Return it."""
        return Number(value=self.value)
