"""The pictures of a sweep side by side, each under what was swept for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nodes.pictures.batches import Picture
from nodes.pictures.encode import encode_picture
from nodes.values import File
from nova_graph.cli.sweeping import Sweep

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

MOST_PIXELS = 48_000_000
"""Pixels of a sheet; where its pictures have more, they are made smaller."""

LEAST_EDGE = 32
GAP = 8
LETTERS = 24
"""Letters of a label that fit over a picture."""

MOST_LETTERS = 200
SMALLEST_TEXT, LARGEST_TEXT = 10, 40
PAPER, INK = (30, 30, 34), (235, 235, 235)


@dataclass(frozen=True, slots=True)
class _Cell:
    width: int
    height: int
    text: int
    lines: int

    @property
    def line(self) -> int:
        return round(self.text * 1.3)

    @property
    def head(self) -> int:
        return self.lines * self.line + GAP // 2

    @property
    def whole(self) -> tuple[int, int]:
        return self.width + GAP, self.head + self.height + GAP


def contact_sheet(sweep: Sweep, pictures: Sequence[Path | None], *, most_pixels: int = MOST_PIXELS) -> File:
    """Return one PNG of the pictures of all runs, in order; None where a run gave none.

    The first axis goes down and the others go right; one alone fills rows. Raises OSError where a picture cannot be
    read.
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = _columns(sweep, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    cell = _cell(pictures, len(sweep.axes), most_pixels / (columns * rows))
    sheet = Image.new("RGB", (columns * cell.whole[0] + GAP, rows * cell.whole[1] + GAP), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(cell.text)
    for place, (labels, path) in enumerate(zip(sweep.labels, pictures, strict=True)):
        left = GAP + place % columns * cell.whole[0]
        top = GAP + place // columns * cell.whole[1]
        for line, label in enumerate(labels):
            pen.text((left, top + line * cell.line), _fitting(label, cell.width, font), INK, font)
        if path is not None:
            with Image.open(path) as picture:
                picture.thumbnail((cell.width, cell.height))
                sheet.paste(picture, (left, top + cell.head))
    whole = Picture(sheet.width, sheet.height, sheet.tobytes())
    return File(encode_picture(whole, "png", 0, {}), "image/png", whole.width, whole.height, None, whole.sha256)


def _columns(sweep: Sweep, runs: int) -> int:
    if len(sweep.axes) == 1:
        return math.ceil(math.sqrt(runs))
    return runs // len(sweep.axes[0].values)


def _cell(pictures: Sequence[Path | None], lines: int, most_pixels: float) -> _Cell:
    """Return a place for the largest picture; all are made smaller alike where there are too many pixels."""
    from PIL import Image

    width, height = LEAST_EDGE, LEAST_EDGE
    for path in pictures:
        if path is not None:
            with Image.open(path) as picture:
                width, height = max(width, picture.width), max(height, picture.height)
    scale = min(1.0, math.sqrt(most_pixels / (width * height)))
    width, height = (max(LEAST_EDGE, int(edge * scale)) for edge in (width, height))
    return _Cell(width, height, min(max(width // (LETTERS // 2), SMALLEST_TEXT), LARGEST_TEXT), lines)


def _fitting(text: str, width: int, font: "FreeTypeFont | ImageFont") -> str:
    """Return a text as one line, cut where it is wider than its picture."""
    text = " ".join(text[:MOST_LETTERS].split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1].rstrip()
    return f"{text}…"
