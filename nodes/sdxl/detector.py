"""Finding things in a picture with a YOLO network."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.values import Loading
from nodes.sdxl.detector_file import SMALLEST_SIZE, read_pickle, read_safetensors
from nodes.sdxl.devices import device_of
from nodes.values import Box, Detector, Image

MOST_BOXES = 300
OVERLAP = 0.7
"""Of two boxes that share more than this (intersection over union) only the surer one is kept; ultralytics' default."""


@dataclass(frozen=True, slots=True)
class LiveDetector:
    """A loaded YOLO network; pictures are fitted into a square of `size` pixels for it, in multiples of `stride`.

    `end_to_end` says that it suppresses overlapping boxes itself.
    """

    network: torch.nn.Module
    size: int
    stride: int = 32
    end_to_end: bool = False

    def find_all(self, image: Image, confidence: float, check: Callable[[], None]) -> tuple[tuple[Box, ...], ...]:
        """Return the boxes in each picture of a batch; `check` is called before each and may raise Cancelled."""
        pictures = np.frombuffer(image.pixels.data, np.uint8).reshape(image.pixels.shape)
        found: list[tuple[Box, ...]] = []
        for pixels in pictures:
            check()
            found.append(self.find(pixels, confidence))
        return tuple(found)

    @torch.inference_mode()
    def find(self, pixels: NDArray[np.uint8], confidence: float) -> tuple[Box, ...]:
        """Return the boxes in one RGB picture [height, width, 3] that are surer than `confidence`, best first.

        The same boxes as `ultralytics.YOLO(...).predict`, without its downloads, telemetry and change of threads.
        """
        from ultralytics.utils.nms import non_max_suppression
        from ultralytics.utils.ops import scale_boxes

        batch = self._letterboxed(pixels)
        found = non_max_suppression(
            self.network(batch),
            confidence,
            OVERLAP,
            max_det=MOST_BOXES,
            end2end=self.end_to_end,
        )[0]
        found[:, :4] = scale_boxes(batch.shape[2:], found[:, :4], pixels.shape)
        boxes = [Box(*row) for row in found[:, :5].cpu().tolist()]
        return tuple(sorted(boxes, key=lambda box: -box.confidence))

    def _letterboxed(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """Fit a picture into the square, pad to the network's stride with grey, and scale to 0..1: [1, 3, h, w]."""
        from ultralytics.data.augment import LetterBox

        edge = -(-self.size // self.stride) * self.stride
        fitted = LetterBox((edge, edge), auto=True, stride=self.stride)(image=pixels)
        device = next(self.network.parameters()).device
        batch = torch.from_numpy(np.ascontiguousarray(fitted)).to(device)
        return batch.permute(2, 0, 1)[None].contiguous().float() / 255


def load_detector(handle: Detector, loading: Loading) -> LiveDetector:
    """Load a detector, in single precision; raises AssetMissing or AssetRefused."""
    path = loading.path(handle.weights.sha256)
    read = read_pickle if handle.pickled else read_safetensors
    network, size = read(path, handle.weights.name)
    stride = max(SMALLEST_SIZE, int(torch.as_tensor(network.stride).max()))
    end_to_end = bool(getattr(network, "end2end", False))
    return LiveDetector(network.to(device_of(loading.environment)), size, stride, end_to_end)
