"""Ultralytics, imported without what it does to the process on the side."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from nodes.pictures.opencv import cv2

PINNED = {
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "0",
    "YOLO_VERBOSE": "0",
    "ULTRALYTICS_SAFE_LOAD": "1",
}
"""No name is looked up, nothing is installed or logged, and no pickle is trusted; read once, while it is imported."""


def import_ultralytics() -> None:
    """Import the parts of ultralytics that detect, and undo what the import changes.

    Left alone, the import looks two host names up, writes a settings file into the user's configuration, limits the
    threads of OpenCV and of later processes, changes how tensors are printed, and replaces `torch.save`. The folder
    for its settings is gone after the import; the variables in PINNED stay.
    """
    if "ultralytics.utils.nms" in sys.modules:
        return
    os.environ.update(PINNED)
    with _environment_kept(), _printing_kept(), _functions_kept(), tempfile.TemporaryDirectory() as settings:
        os.environ["YOLO_CONFIG_DIR"] = settings
        import torchvision  # noqa: F401  # suppression of overlaps takes another path where it is not imported
        import ultralytics.data.augment
        import ultralytics.nn.tasks
        import ultralytics.utils.nms  # noqa: F401


@contextmanager
def _environment_kept() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _printing_kept() -> Iterator[None]:
    options = torch._tensor_str.PRINT_OPTS
    before = {name: getattr(options, name) for name in ("precision", "threshold", "edgeitems", "linewidth", "sci_mode")}
    with np.printoptions():
        try:
            yield
        finally:
            torch.set_printoptions(**before)  # type: ignore[no-untyped-call]


@contextmanager
def _functions_kept() -> Iterator[None]:
    save, threads = torch.save, cv2.getNumThreads()
    pictures = cv2.imread, cv2.imwrite, cv2.imshow
    try:
        yield
    finally:
        torch.save = save
        cv2.setNumThreads(threads)
        cv2.imread, cv2.imwrite, cv2.imshow = pictures
