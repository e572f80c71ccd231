"""The grids of the model card: as drawn for the evaluation, nothing chosen."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, get_args

import numpy as np
from PIL import Image, ImageDraw

from tools.train_nano.evaluate.figures import Measured
from tools.train_nano.evaluate.grids import write_grid
from tools.train_nano.evaluate.prompts import held_out_scenes
from tools.train_nano.evaluate.studio import Drawn, Pixels
from tools.train_nano.render.picture import render
from tools.train_nano.render.scene import Framing

COLUMNS: Final = 8
SHOWN: Final = 16
CHECKED: Final = 100
ENLARGED: Final = 2
FRAME: Final = (255, 0, 255)


def write_grids(folder: Path, measured: Measured) -> None:
    """Write the first pictures of each framing, full bodies before and after the detailer, and renders."""
    for framing in get_args(Framing):
        pairs = zip(measured.scenes, measured.drawn, strict=True)
        chosen = [drawn.pixels for scene, drawn in pairs if scene.framing == framing][:SHOWN]
        if chosen:
            write_grid(folder / f"{framing.replace(' ', '-')}.jpg", chosen, COLUMNS)
    if measured.detailed:
        few = measured.detailed[:COLUMNS]
        write_grid(folder / "detailed.jpg", [*(d.pixels for d in few), *(d.refined for d in few)], len(few))
    renders = [np.asarray(render(scene, measured.native)) for scene in held_out_scenes(SHOWN)]
    write_grid(folder / "renders.jpg", renders, COLUMNS)


def write_boxes(path: Path, drawn: Sequence[Drawn]) -> None:
    """Write the first pictures with the faces that the detector found in them, to be checked by eye."""
    write_grid(path, [boxed(picture) for picture in drawn[:CHECKED]], COLUMNS)


def boxed(drawn: Drawn) -> Pixels:
    """Return a picture enlarged, with a frame around each face that the detector found."""
    height, width, _ = drawn.pixels.shape
    picture = Image.fromarray(drawn.pixels).resize((ENLARGED * width, ENLARGED * height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for face in drawn.faces:
        pen.rectangle([ENLARGED * side for side in (face.left, face.top, face.right, face.bottom)], outline=FRAME)
    return np.asarray(picture)
