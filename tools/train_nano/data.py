"""The pictures on disk: rendered once, by all processor cores; scene k always follows from the seed and k."""

import multiprocessing
import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tools.train_nano.checkpoint import replacing
from tools.train_nano.config import Config
from tools.train_nano.render.scene import Scene, draw_scene

CHUNK: Final = 200


def scene_of(seed: int, number: int) -> Scene:
    """Return scene `number` of the data of a seed."""
    return draw_scene(random.Random(f"scene {seed} {number}"))


@dataclass(frozen=True, slots=True)
class Pictures:
    """Rendered pictures [count, edge, edge, 3] in a file, the held-out ones last; opened anew in each process."""

    path: Path
    seed: int
    train: int
    held_out: int

    def pixels(self) -> NDArray[np.uint8]:
        """Return all pictures, mapped from the file."""
        pixels: NDArray[np.uint8] = np.load(self.path, mmap_mode="r")
        return pixels

    def scene(self, number: int) -> Scene:
        """Return what picture `number` shows."""
        return scene_of(self.seed, number)


def render_pictures(config: Config, folder: Path) -> Pictures:
    """Return the pictures of a run, rendered unless they are there."""
    path = folder / f"pictures-{config.native}.npy"
    count = config.data.pictures + config.data.held_out
    if not path.exists():
        with replacing(path) as fresh:
            _render_all(fresh, config.seed, count, config.native)
    return Pictures(path, config.seed, config.data.pictures, config.data.held_out)


def _render_all(path: Path, seed: int, count: int, edge: int) -> None:
    shape = (count, edge, edge, 3)
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    starts = range(0, count, CHUNK)
    render = partial(_render_chunk, seed, count, edge)
    if len(starts) == 1:
        pixels[:] = render(0)
    else:
        with multiprocessing.get_context("spawn").Pool() as pool:
            for start, chunk in zip(starts, pool.imap(render, starts), strict=True):
                pixels[start : start + len(chunk)] = chunk
    pixels.flush()


def _render_chunk(seed: int, count: int, edge: int, start: int) -> NDArray[np.uint8]:
    from tools.train_nano.render.picture import render

    return np.stack([render(scene_of(seed, number), edge) for number in range(start, min(count, start + CHUNK))])
