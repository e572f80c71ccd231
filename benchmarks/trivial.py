"""Graphs of nodes that do nothing worth mentioning, so that only the engine is measured."""

from dataclasses import dataclass

from engine import Context, Json, Node, Output, Registry, Value

BLOCK = 64 * 1024


class Number(Output):
    """One whole number."""

    value: int


class Start(Node[Number]):
    """Give a number."""

    value: int

    def run(self, ctx: Context) -> Number:
        """Return it."""
        return Number(value=self.value)


class Increment(Node[Number]):
    """Add one."""

    value: int

    def run(self, ctx: Context) -> Number:
        """Return the next number."""
        return Number(value=self.value + 1)


@dataclass(frozen=True, slots=True)
class Block(Value):
    """Some bytes."""

    data: bytes


class Carried(Output):
    """One block."""

    block: Block


class Carry(Node[Carried]):
    """Make 64 KiB of its own out of what came before."""

    before: Block | None = None

    def run(self, ctx: Context) -> Carried:
        """Return a new block."""
        return Carried(block=Block(bytes(BLOCK)))


class Join(Node[Number]):
    """Add two numbers."""

    left: int
    right: int

    def run(self, ctx: Context) -> Number:
        """Return the sum, kept small."""
        return Number(value=(self.left + self.right) % 1_000_003)


class Total(Node[Number]):
    """Add many numbers."""

    items: tuple[int, ...]

    def run(self, ctx: Context) -> Number:
        """Return the sum."""
        return Number(value=sum(self.items))


def trivial() -> Registry:
    """Return a registry with the trivial nodes."""
    return Registry([Start, Increment, Join, Total, Carry])


Tree = dict[str, Json]


def chain(size: int) -> Tree:
    """Put one node after the other."""
    nodes: Tree = {"n0": {"type": "Start", "inputs": {"value": 0}}}
    for index in range(1, size):
        nodes[f"n{index}"] = {"type": "Increment", "inputs": {"value": f"$n{index - 1}.value"}}
    return _document(nodes, f"n{size - 1}")


def fan(size: int) -> Tree:
    """Put many nodes beside each other, between one before and one after."""
    nodes: Tree = {"first": {"type": "Start", "inputs": {"value": 0}}}
    middle = [f"n{index}" for index in range(size - 2)]
    for name in middle:
        nodes[name] = {"type": "Join", "inputs": {"left": "$first.value", "right": int(name[1:])}}
    nodes["last"] = {"type": "Total", "inputs": {"items": [f"${name}.value" for name in middle]}}
    return _document(nodes, "last")


def lattice(size: int) -> Tree:
    """Lay nodes out in a square: each joins the one above and the one to the left."""
    side = max(2, round(size**0.5))
    nodes: Tree = {}
    for row in range(side):
        for column in range(side):
            nodes[f"n{row}_{column}"] = _crossing(row, column)
    return _document(nodes, f"n{side - 1}_{side - 1}")


def _crossing(row: int, column: int) -> Tree:
    if not row and not column:
        return {"type": "Start", "inputs": {"value": 1}}
    above = f"$n{row - 1}_{column}.value" if row else 1
    left = f"$n{row}_{column - 1}.value" if column else 1
    return {"type": "Join", "inputs": {"left": left, "right": above}}


def carrying_chain(size: int) -> Tree:
    """Put one node after the other, each with a block of its own."""
    nodes: Tree = {"n0": {"type": "Carry"}}
    for index in range(1, size):
        nodes[f"n{index}"] = {"type": "Carry", "inputs": {"before": f"$n{index - 1}.block"}}
    return {"nova": 1, "nodes": nodes, "outputs": {"block": f"$n{size - 1}.block"}}


def _document(nodes: Tree, last: str) -> Tree:
    return {"nova": 1, "nodes": nodes, "outputs": {"value": f"${last}.value"}}


SHAPES = {"chain": chain, "fan-out": fan, "lattice": lattice}
