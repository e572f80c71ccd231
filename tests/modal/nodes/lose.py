"""A node type that breaks the device it runs on."""

from engine import Context, Node, Output


class Lost(Output):
    value: int


class Lose(Node[Lost]):
    """Fail as torch does where the device will not answer again."""

    def run(self, ctx: Context) -> Lost:
        raise RuntimeError("CUDA error: device-side assert triggered")
