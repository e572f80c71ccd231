"""What a run gave."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.document import document
from engine.events import AnyEvent
from engine.plan import Plan
from engine.values import Json
from nodes.values import File, Files

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True)
class Result:
    """The outputs of a run by name, everything it reported, and what it was made with."""

    outputs: Mapping[str, object]
    events: tuple[AnyEvent, ...]
    plan: Plan
    environment: str

    @property
    def files_by_output(self) -> dict[str, tuple[File, ...]]:
        """The encoded pictures of every output of type Files, by the output's name."""
        return {name: value.files for name, value in self.outputs.items() if isinstance(value, Files)}

    @property
    def files(self) -> tuple[File, ...]:
        """The encoded pictures of every output of type Files, in order."""
        return tuple(file for files in self.files_by_output.values() for file in files)

    @property
    def images(self) -> tuple["Picture", ...]:
        """The pictures as Pillow images, with what is written in them."""
        from PIL import Image

        return tuple(Image.open(io.BytesIO(file.data)) for file in self.files)

    @property
    def image(self) -> "Picture":
        """The first picture as a Pillow image; raises LookupError where the graph has no output of type Files."""
        images = self.images
        if not images:
            raise LookupError("the graph has no output of type Files; end it with a Serializer")
        return images[0]

    @property
    def record(self) -> dict[str, Json]:
        """What made this result, as plain data: the resolved graph, its inputs, assets, keys and environment."""
        return {
            "graph": document(self.plan.bound),
            "inputs": {name: given.value for name, given in self.plan.bound.inputs.items()},
            "assets": [
                {"node": node, "port": port, "kind": found.asset.kind, "sha256": found.sha256, "how": found.how}
                for (node, port), found in self.plan.found.items()
            ],
            "keys": {step.id: step.key for step in self.plan.steps},
            "environment": self.environment,
        }
