"""Pictures drawn as users draw them: by a graph of nova-graph's nodes."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.values import Json
from nodes.values import Box, Boxes, Image
from nova_graph import Runtime, load, run

GRAPH: Final = Path(__file__).parent / "graph.yaml"
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One picture [height, width, 3], the faces found in it (surer than 0.5, best first), and itself refined."""

    pixels: Pixels
    faces: tuple[Box, ...]
    refined: Pixels
    seconds: float


class Studio:
    """Draws with one checkpoint, which stays loaded in the runtime."""

    def __init__(self, runtime: Runtime, checkpoint: Path, detector: Path, steps: int = 24) -> None:
        self._graph = load(GRAPH, runtime=runtime)
        self._fixed: dict[str, Json] = {"checkpoint": str(checkpoint), "detector": str(detector), "steps": steps}

    def draw(self, prompt: str, seed: int, **inputs: Json) -> Drawn:
        """Draw one picture; `inputs` are those of graph.yaml."""
        plan = self._graph.plan_with({**self._fixed, "prompt": prompt, "seed": seed, **inputs})
        begun = time.perf_counter()
        outputs = run(plan).outputs
        seconds = time.perf_counter() - begun
        boxes, image, refined = outputs["boxes"], outputs["image"], outputs["refined"]
        assert isinstance(boxes, Boxes)
        return Drawn(_pixels(image), boxes.pictures[0], _pixels(refined), seconds)


def _pixels(image: object) -> Pixels:
    assert isinstance(image, Image)
    pictures: NDArray[np.uint8] = np.frombuffer(image.pixels.data, np.uint8).reshape(image.pixels.shape)
    first: Pixels = pictures[0]
    return first
