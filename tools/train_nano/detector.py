"""The face detector: a small YOLOv8, trained on renders by ultralytics.

Ultralytics is AGPL-3.0, and its network definitions are used to train and to run the detector. The weights are this
project's own, trained from nothing; ultralytics' authors hold that models trained with their code fall under its
licence as well, so whoever passes on a program with them should read https://www.ultralytics.com/license.
"""

import json
import random
import shutil
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image

from tools.single_file import write_safetensors
from tools.train_nano.checkpoint import replacing
from tools.train_nano.config import DetectorStage
from tools.train_nano.data import Pictures
from tools.train_nano.render.placement import Box, face_boxes

NAMES: Final = {0: "face"}
SCALES: Final = (0.5, 0.75, 1.0, 1.0, 1.25, 1.5)
"""Pictures are resized by these, so that faces of many sizes are seen."""

SOFT_SHARE: Final = 0.5
SOFT: Final = (0.35, 0.8)
"""Between these shares of their size pictures are shrunk and enlarged again: a model's small faces are as blurred."""


def description(width: float) -> dict[str, Any]:
    """Return YOLOv8's own description at a width, for one class (ultralytics, cfg/models/v8/yolov8.yaml)."""
    backbone = [
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 3, "C2f", [128, True]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 6, "C2f", [256, True]],
        [-1, 1, "Conv", [512, 3, 2]],
        [-1, 6, "C2f", [512, True]],
        [-1, 1, "Conv", [1024, 3, 2]],
        [-1, 3, "C2f", [1024, True]],
        [-1, 1, "SPPF", [1024, 5]],
    ]
    head = [
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 6], 1, "Concat", [1]],
        [-1, 3, "C2f", [512]],
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 3, "C2f", [256]],
        [-1, 1, "Conv", [256, 3, 2]],
        [[-1, 12], 1, "Concat", [1]],
        [-1, 3, "C2f", [512]],
        [-1, 1, "Conv", [512, 3, 2]],
        [[-1, 9], 1, "Concat", [1]],
        [-1, 3, "C2f", [1024]],
        [[15, 18, 21], 1, "Detect", ["nc"]],
    ]
    return {"nc": 1, "scales": {"n": [0.33, width, 1024]}, "backbone": backbone, "head": head}


def write_examples(pictures: Pictures, count: int, folder: Path) -> Path:
    """Write pictures and their boxes as ultralytics reads them, held-out ones to validate on; return the list."""
    held_out = range(pictures.train, pictures.train + pictures.held_out)
    for split, numbers in (("train", range(min(count, pictures.train))), ("val", held_out)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            lot = random.Random(f"example {number}")
            picture = Image.fromarray(pictures.pixels()[number])
            if split == "train":
                picture = vary(picture, lot)
            picture.save(folder / "images" / split / f"{number}.png")
            lines = [label_line(box) for box in face_boxes(pictures.scene(number))]
            (folder / "labels" / split / f"{number}.txt").write_text("".join(lines), encoding="utf-8")
    listing = folder / "data.yaml"
    listing.write_text(
        f"path: {folder.absolute()}\ntrain: images/train\nval: images/val\nnames: {{0: face}}\n", encoding="utf-8"
    )
    return listing


def vary(picture: Image.Image, lot: random.Random) -> Image.Image:
    """Return a square picture at another size, in half of the cases blurred."""
    edge = int(picture.width * lot.choice(SCALES))
    if lot.random() < SOFT_SHARE:
        small = int(picture.width * lot.uniform(*SOFT))
        picture = picture.resize((small, small), Image.Resampling.BOX)
    return picture.resize((edge, edge), Image.Resampling.BICUBIC)


def label_line(box: Box) -> str:
    """Return a box as a line of a YOLO label: class, middle, width and height."""
    left, top, right, bottom = box
    return f"0 {(left + right) / 2:.5f} {(top + bottom) / 2:.5f} {right - left:.5f} {bottom - top:.5f}\n"


def train_detector(
    pictures: Pictures, stage: DetectorStage, folder: Path, device: torch.device, workers: int
) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Return trained weights in half precision, and their figures on held-out renders.

    A cut run continues at its last epoch. Ultralytics' telemetry, downloads and plots are off.
    """
    from nodes.sdxl.detector_import import import_ultralytics

    import_ultralytics()
    from ultralytics import YOLO

    last = folder / "run" / "weights" / "last.pt"
    resumed = last.exists()
    listing = folder / "data.yaml" if resumed else write_examples(pictures, stage.pictures, folder)
    plan = folder / "yolov8n-face.yaml"
    plan.write_text(json.dumps(description(stage.width)), encoding="utf-8")
    model = YOLO(str(last if resumed else plan), task="detect")
    model.train(
        data=str(listing), imgsz=stage.size, epochs=stage.epochs, batch=stage.batch, device=_name(device),
        workers=workers, optimizer="AdamW", lr0=0.003, warmup_epochs=1, mosaic=0.5,
        close_mosaic=max(0, stage.epochs - 3), scale=0.6, hsv_h=0.3, hsv_s=0.5, degrees=5,
        project=str(folder.absolute()), name="run", exist_ok=True, plots=False, amp=False,
        pretrained=False, cos_lr=True, verbose=False, resume=resumed,
    )  # fmt: skip
    best = YOLO(str(folder / "run" / "weights" / "best.pt"))
    scores = best.val(
        data=str(listing), imgsz=stage.size, device=_name(device), plots=False, verbose=False, workers=0,
        project=str(folder.absolute()), name="val", exist_ok=True,
    )  # fmt: skip
    figures = {"mAP50": float(scores.box.map50), "precision": float(scores.box.mp), "recall": float(scores.box.mr)}
    weights = {name: tensor.detach().half().cpu() for name, tensor in best.model.state_dict().items()}
    return weights, figures


def _name(device: torch.device) -> str:
    return "0" if device.type == "cuda" else "cpu"


def write_detector(path: Path, weights: dict[str, torch.Tensor], stage: DetectorStage, about: dict[str, str]) -> None:
    """Write weights, description, class names and size as one file without pickle, and check that it loads."""
    from nodes.sdxl.detector_file import read_safetensors

    told = {
        "modelspec.architecture": "yolov8",
        "modelspec.description": "Finds drawn faces; trained from scratch on procedurally drawn anime characters.",
        "imgsz": str(stage.size),
        "names": json.dumps(NAMES),
        "yaml": json.dumps({**description(stage.width), "scale": "n", "channels": 3}),
        **{f"modelspec.{name}": text for name, text in about.items()},
    }
    with replacing(path) as fresh:
        write_safetensors(fresh, weights, told)
        read_safetensors(fresh, path.name)


def clear_examples(folder: Path) -> None:
    """Delete the pictures written for ultralytics."""
    for kind in ("images", "labels"):
        shutil.rmtree(folder / kind, ignore_errors=True)
