"""Pictures side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tools.train_nano.evaluate.studio import Pixels

QUALITY = 85


def write_grid(path: Path, pictures: Sequence[Pixels], columns: int) -> None:
    """Write pictures of one size as a grid, in JPEG or PNG by the name's ending."""
    rows = -(-len(pictures) // columns)
    height, width, _ = pictures[0].shape
    grid = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * height, number % columns * width
        grid[top : top + height, left : left + width] = picture
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid).save(path, quality=QUALITY, optimize=True)
