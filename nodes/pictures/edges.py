"""Edges in pictures (Canny 1986, doi:10.1109/TPAMI.1986.4767851)."""

import numpy as np

from nodes.pictures.batches import Picture
from nodes.pictures.opencv import cv2


def find_edges(picture: Picture, low: float, high: float) -> Picture:
    """Return white edges on black; the steepest of the three colours counts, as in A1111's and ComfyUI's annotators."""
    pixels = np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)
    edges = np.asarray(cv2.Canny(pixels, low, high), np.uint8)
    return Picture(picture.width, picture.height, edges.repeat(3).tobytes())
