"""What the detector tests share: the embedded detector, drawn pictures, and files that lie about themselves."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from safetensors import safe_open
from safetensors.torch import save_file

from nodes.sdxl.detector import LiveDetector, load_detector
from nodes.values import Array, Detector, Image
from tests.nodes.sdxl.loading import WEIGHTS, loading

FACE = Path(str(files("nodes.sdxl").joinpath("nano/face.safetensors")))
DATA = Path(__file__).parents[2] / "data"


def pixels(name: str) -> NDArray[np.uint8]:
    """Return a drawn picture: `close-up` has one face, `pair` two beside each other."""
    return np.asarray(Pillow.open(DATA / f"{name}.png").convert("RGB"))


def batch(*pictures: NDArray[np.uint8], seeds: tuple[int, ...] = ()) -> Image:
    """Return pictures of one size as an image."""
    height, width, _ = pictures[0].shape
    data = b"".join(picture.tobytes() for picture in pictures)
    return Image(Array("U8", (len(pictures), height, width, 3), data), seeds)


def detector(path: Path = FACE, *, pickled: bool = False) -> LiveDetector:
    """Load a detector from a file."""
    return load_detector(Detector(WEIGHTS, pickled), loading(path))


def rewritten(path: Path, metadata: Mapping[str, str | None], *, without: str = "") -> Path:
    """Write the embedded detector with other metadata (None takes an entry away) and without one of its tensors."""
    with safe_open(FACE, "pt") as file:
        changed = {**file.metadata(), **metadata}
        tensors = {key: file.get_tensor(key) for key in file.keys() if key != without}  # noqa: SIM118
    save_file(tensors, path, {key: value for key, value in changed.items() if value is not None})
    return path
