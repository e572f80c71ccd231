"""Edges of pictures, for a ControlNet to follow."""

from typing import Annotated

from pydantic import Field

from engine.context import Context
from engine.errors import NovaError
from engine.node import Node, Output
from nodes.values import Image

Threshold = Annotated[float, Field(ge=0, le=1000)]


class EdgesFound(Output):
    """White edges on black."""

    image: Image


class Canny(Node[EdgesFound]):
    """Find edges, as A1111's preprocessor canny does: give them to a ControlNet that was trained on such lines.

    An edge begins where brightness changes by more than `high`, and goes on while it changes by more than `low` (of the
    sum of both directions' differences, up to about 2000).
    """

    image: Image
    low: Annotated[Threshold, Field(description="Less finds longer edges.")] = 100.0
    high: Annotated[Threshold, Field(description="Less finds more edges.")] = 200.0

    def run(self, ctx: Context) -> EdgesFound:
        """Find the edges of each picture of the batch; raises NovaError where `low` is above `high`."""
        from nodes.pictures.batches import join_pictures, split_image
        from nodes.pictures.edges import find_edges

        if self.low > self.high:
            raise NovaError(
                f"low is {self.low:g} and high is {self.high:g}: an edge would end before it begins",
                hint="Make low smaller than high; half of it is usual.",
            )
        found = []
        for picture in split_image(self.image):
            ctx.check()
            found.append(find_edges(picture, self.low, self.high))
        return EdgesFound(image=join_pictures(found, self.image.seeds))
