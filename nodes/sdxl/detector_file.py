"""Detector weights from a file: without pickle by default."""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open

from engine.errors import AssetMissing, AssetRefused
from engine.values import Json
from nodes.sdxl.detector_import import import_ultralytics

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

USUAL_SIZE = 640
"""The edge in pixels that YOLO detectors are trained at when a file does not say otherwise."""

SMALLEST_SIZE, LARGEST_SIZE = 32, 2048
LONGEST_DESCRIPTION = 100_000
MOST_LAYERS = 400

# fmt: off
DESCRIPTION_KEYS = frozenset({
    "nc", "scales", "scale", "backbone", "head", "channels", "ch", "reg_max", "end2end", "depth_multiple",
    "width_multiple", "names", "yaml_file",
})
LAYERS = frozenset({
    "A2C2f", "AConv", "ADown", "Bottleneck", "BottleneckCSP", "C1", "C2", "C2PSA", "C2f", "C2fCIB", "C2fPSA", "C3",
    "C3Ghost", "C3TR", "C3k2", "C3x", "CBFuse", "CBLinear", "Concat", "Conv", "ConvTranspose", "DWConv",
    "DWConvTranspose2d", "Detect", "ELAN1", "Focus", "GhostBottleneck", "GhostConv", "PSA", "RepC3", "RepNCSPELAN4",
    "SCDown", "SPP", "SPPELAN", "SPPF", "nn.BatchNorm2d", "nn.ConvTranspose2d", "nn.Identity", "nn.Upsample",
    "v10Detect",
})
# fmt: on
"""The layers a description may name: those of YOLO v5 to v12 and 26, and none that download or run anything."""

WRONG_FILE = (
    SafetensorError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RuntimeError,
    AssertionError,
)


def read_safetensors(path: Path, name: str) -> tuple[torch.nn.Module, int]:
    """Build a detector, an ultralytics DetectionModel, from its weights; also return the edge in pixels it wants.

    Metadata: `yaml` holds the model's YAML as JSON, `names` the classes as JSON, and `imgsz` the edge in pixels of the
    square it was trained at (640 where it is missing). Raises AssetMissing or AssetRefused.
    """
    _require_file(path, name)
    import_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a mapping
        with torch.random.fork_rng(devices=[]):  # building draws start weights from the process's generator
            network = DetectionModel(_description(metadata), ch=3, verbose=False)
        network.load_state_dict(weights)
        return _ready(network), _size(metadata.get("imgsz", str(USUAL_SIZE)))
    except WRONG_FILE as error:
        raise AssetRefused(
            f"detector {name!r} cannot be read as safetensors: {type(error).__name__}: {_short(error)}",
            hint="A detector is a .safetensors file whose metadata holds `yaml`, `names` and `imgsz`; "
            "a .pt file has to be allowed first.",
        ) from error


def read_pickle(path: Path, name: str) -> tuple[torch.nn.Module, int]:
    """Load a `.pt` file with an allow-list of classes, so that it cannot run code; also return the edge it wants.

    Raises AssetMissing or AssetRefused.
    """
    _require_file(path, name)
    import_ultralytics()
    from ultralytics.nn.tasks import DetectionModel, torch_safe_load

    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("torch.save has not written it, or it was cut short")
        with tempfile.TemporaryDirectory() as folder:
            # Ultralytics takes a path for an address to download from unless it is plain and ends in .pt.
            plain = Path(folder) / "detector.pt"
            shutil.copyfile(path, plain)
            checkpoint, _ = torch_safe_load(str(plain), safe_only=True)
        network = checkpoint.get("ema") or checkpoint.get("model")
        if not isinstance(network, DetectionModel) or getattr(network, "task", "detect") != "detect":
            raise TypeError("it holds no YOLO detection model")
        size = (checkpoint.get("train_args") or {}).get("imgsz", USUAL_SIZE)
        return _ready(network), _size(str(size))
    except WRONG_FILE as error:
        raise AssetRefused(
            f"detector {name!r} was refused: {type(error).__name__}: {_short(error)}",
            hint="Only YOLO detection models are taken from .pt files; anything else inside them is blocked.",
        ) from error


def _description(metadata: Mapping[str, str]) -> dict[str, Json]:
    """Check a model description from a stranger before ultralytics builds what it says."""
    text = metadata.get("yaml")
    if text is None:
        raise ValueError("its metadata has no `yaml`")
    if len(text) > LONGEST_DESCRIPTION:
        raise ValueError(f"its model description is longer than {LONGEST_DESCRIPTION} characters")
    description = json.loads(text)
    if not isinstance(description, dict) or not description.keys() <= DESCRIPTION_KEYS:
        raise ValueError(f"its model description may have only the keys {', '.join(sorted(DESCRIPTION_KEYS))}")
    rows = [*description["backbone"], *description["head"]]
    if len(rows) > MOST_LAYERS:
        raise ValueError(f"its model description has more than {MOST_LAYERS} layers")
    for _, _, layer, _ in rows:
        if layer not in LAYERS:
            raise ValueError(f"its model description names a layer {layer!r} that detectors do not have")
    if not description.get("scale") and description.get("scales"):
        description["scale"] = next(iter(description["scales"]))
    return description


def _ready(network: "DetectionModel") -> torch.nn.Module:
    """Make a network fit for use only: single precision, normalisation folded into convolutions, no gradients."""
    fused: torch.nn.Module = network.float().fuse(verbose=False)
    return fused.eval().requires_grad_(requires_grad=False)


def _size(text: str) -> int:
    size = int(text)
    if not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise ValueError(f"its `imgsz` is {size}, which is not between {SMALLEST_SIZE} and {LARGEST_SIZE}")
    return size


def _require_file(path: Path, name: str) -> None:
    # Ultralytics looks on the network for files that are not there.
    if not path.is_file():
        raise AssetMissing(f"the file of detector {name!r} is gone", hint="Run again: it is looked up anew.")


def _short(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:300]
