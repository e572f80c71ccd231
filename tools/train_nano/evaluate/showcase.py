"""The grids of the model card: as drawn for the evaluation, nothing chosen."""

from pathlib import Path
from typing import Final, get_args

import numpy as np

from tools.train_nano.evaluate.figures import Measured
from tools.train_nano.evaluate.grids import write_grid
from tools.train_nano.evaluate.prompts import held_out_scenes
from tools.train_nano.render.picture import render
from tools.train_nano.render.scene import Framing

COLUMNS: Final = 8
SHOWN: Final = 16


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
