"""A graph in the making."""

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from engine.parse import MAX_NODES
from engine.values import Json
from nodes.assets.files import is_regular
from nova_graph.cli.exits import UsageError

Tree = dict[str, Json]

FOLDERS: Final = {
    "checkpoint": ("checkpoints", "Stable-diffusion"),
    "lora": ("loras", "Lora"),
    "vae": ("vae", "VAE"),
    "embedding": ("embeddings", "../embeddings"),
    "controlnet": ("controlnet", "ControlNet"),
    "upscaler": ("upscale_models", "ESRGAN", "RealESRGAN"),
    "detector": ("ultralytics", "adetailer"),
    "image": ("../input",),
}
"""Where ComfyUI and A1111 keep files, in their folder `models`."""

AUTO_FACES: Final = "faces are found with `detector: auto`; see docs/checkpoints.md for another"
"""Said where another program's face detector is not taken over: most of them are pickles."""

MOST_STEPS: Final = 1_000_000
"""Far more than any sampler takes; of much larger numbers, floats cannot tell one from the next."""

_ENDING: Final = re.compile(r"\.(safetensors|ckpt|pt|pth|sft|bin)$", re.IGNORECASE)


class Draft:
    """Gathers nodes under names of their own, inputs that a run may be given, and notes for whoever imports."""

    def __init__(self, description: str, models: Path | None) -> None:
        self._description = description
        self._models = models
        self.inputs: dict[str, Tree] = {}
        self.nodes: dict[str, Tree] = {}
        self.outputs: Tree = {}
        self.notes: dict[str, None] = {}
        self._numbers: dict[str, int] = {}
        self._taught: dict[tuple[str, str], str] = {}

    def add(self, name: str, kind: str, inputs: Mapping[str, Json]) -> str:
        """Add a node under a name like this one; returns its id. Ports without a value are left out.

        Raises UsageError where there are as many nodes as a graph may have.
        """
        if len(self.nodes) == MAX_NODES:
            raise UsageError(f"the graph would have more than {MAX_NODES:,} nodes")
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        own = name if number == 1 else f"{name}{number}"
        ports: Tree = {port: value for port, value in inputs.items() if value is not None}
        self.nodes[own] = {"type": kind, **({"inputs": ports} if ports else {})}
        return own

    def set(self, node: str, port: str, value: Json) -> None:
        """Set a port of a node that is there already."""
        given = self.nodes[node].setdefault("inputs", {})
        assert isinstance(given, dict)
        given[port] = value

    def ask(self, name: str, kind: Json, default: Json) -> Json:
        """Make a value an input of the graph, and return the reference; a name that is taken leaves it a value."""
        if default is None:
            return None
        if name in self.inputs:
            return literal(default)
        self.inputs[name] = {"type": kind, "default": default}
        return f"$inputs.{name}"

    def ask_seed(self, name: str, seed: Json) -> Json:
        """Make a seed an input, as `ask` does; those that are drawn for each run share one, as no port draws them."""
        if seed != "random":
            return self.ask(name, "seed", seed)
        taken = self.inputs.get(name, {}).get("default", seed) != seed
        own = f"random_{name}" if taken else name
        self.inputs[own] = {"type": "seed", "default": seed}
        return f"$inputs.{own}"

    def teach(self, text_encoders: str, words: Iterable[str]) -> str:
        """Return text encoders that know the embeddings of these names as well."""
        for word in words:
            teaching = (text_encoders, word)
            if teaching not in self._taught:
                ports: Tree = {"text_encoders": text_encoders, "embedding": self.file("embedding", word), "word": word}
                self._taught[teaching] = f"${self.add('embedding', 'Embedding', ports)}.text_encoders"
            text_encoders = self._taught[teaching]
        return text_encoders

    def save(self, image: str) -> None:
        """Make an image of the graph a picture file."""
        png = self.add("png", "Serializer", {"image": image})
        number = png.removeprefix("png")
        self.outputs |= {f"image{number}": image, f"file{number}": f"${png}.file"}

    def note(self, text: str) -> None:
        """Tell whoever imports, once."""
        self.notes[text] = None

    def file(self, kind: str, name: Json) -> str:
        """Return what a graph calls a file that another program named: its path in the folder of models, or a name."""
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f"a {kind} has no name: {name!r}")
        inside = name.strip().replace("\\", "/")
        if self._models is not None:
            for folder in FOLDERS[kind]:
                path = self._models / folder / inside
                for named in (path, Path(f"{path}.safetensors")):
                    if is_regular(named):
                        return str(named)
            self.note(f"{inside} is not in {self._models / FOLDERS[kind][0]}")
        if kind == "image":
            return inside
        stem = _ENDING.sub("", PurePosixPath(inside).name)
        if self._models is None:
            self.note(f"say where {stem} is: nova-graph models add {shlex.quote(stem)} PATH --kind {kind}")
        return stem

    def tree(self) -> Tree:
        """Return the graph."""
        tree: Tree = {"nova": 1, "description": self._description}
        if self.inputs:
            tree["inputs"] = {**self.inputs}
        return {**tree, "nodes": {**self.nodes}, "outputs": self.outputs}


def literal(value: Json) -> Json:
    """Return a value as it stands at a port: a text that begins with a dollar doubles it."""
    return f"${value}" if isinstance(value, str) and value.startswith("$") else value


def whole_steps(steps: Json, denoise: Json) -> Json:
    """Return the `steps` under which Sampler runs as many at this `denoise` as ComfyUI does: all that are asked for.

    Where they would be more than MOST_STEPS, they are returned as they are, for the check of the graph to refuse.
    """
    if not isinstance(steps, int) or not isinstance(denoise, int | float) or not 0 < denoise < 1:
        return steps
    if not 0 < steps <= denoise * MOST_STEPS:
        return steps
    found = int(steps / denoise)
    while int(found * denoise) < steps:
        found += 1
    return found
