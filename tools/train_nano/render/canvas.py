"""A thin layer over skia: paths written as in SVG, filled and outlined in plain colours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import skia  # type: ignore[import-not-found,import-untyped,unused-ignore]
from numpy.typing import NDArray

from tools.train_nano.render.palette import Colour

Fade = tuple[Colour, float, float]
"""The colour that another runs into, from the first height to the second."""

SIDES: Final = (-1, 1)
ARGUMENTS: Final = {"M": 2, "L": 2, "Q": 4, "C": 6}


class Canvas:
    """A square picture whose edge is 1 long, whatever its resolution in pixels."""

    def __init__(self, edge: int) -> None:
        self._edge = edge
        self._surface = skia.Surface(edge, edge)
        self._canvas = self._surface.getCanvas()
        self._canvas.scale(edge, edge)

    def pixels(self) -> NDArray[np.uint8]:
        """Return what was drawn, RGB [edge, edge, 3]."""
        colours = self._surface.makeImageSnapshot().toarray(colorType=skia.kRGBA_8888_ColorType)
        return np.ascontiguousarray(np.asarray(colours, np.uint8)[:, :, :3])

    @contextmanager
    def moved(
        self, x: float = 0.0, y: float = 0.0, *, scale: tuple[float, float] = (1, 1), turn: float = 0.0
    ) -> Iterator[None]:
        """Draw, within the block, around (x, y), scaled, and turned by degrees."""
        self._canvas.save()
        self._canvas.translate(x, y)
        self._canvas.rotate(turn)
        self._canvas.scale(*scale)
        try:
            yield
        finally:
            self._canvas.restore()

    @contextmanager
    def side(self, side: int) -> Iterator[None]:
        """Draw, within the block, on the right (1) or mirrored on the left (-1)."""
        with self.moved(scale=(side, 1)):
            yield

    def cover(self, top: Colour, bottom: Colour) -> None:
        """Fill the whole picture, from one colour at its top to another at its bottom."""
        self._canvas.drawPaint(skia.Paint(Shader=_fade(top, bottom, (0, 1))))

    def fill(self, path: str, colour: Colour, *, fade: Fade | None = None) -> None:
        """Fill a closed path; `fade` lets its colour run into another."""
        paint = skia.Paint(AntiAlias=True, Color=_skia(colour))
        if fade is not None:
            paint.setShader(_fade(colour, fade[0], fade[1:]))
        self._canvas.drawPath(_path(path, close=True), paint)

    def line(self, path: str, colour: Colour, width: float, *, close: bool = False) -> None:
        """Draw along a path."""
        paint = skia.Paint(
            AntiAlias=True,
            Style=skia.Paint.kStroke_Style,
            Color=_skia(colour),
            StrokeWidth=width,
            StrokeCap=skia.Paint.kRound_Cap,
            StrokeJoin=skia.Paint.kRound_Join,
        )
        self._canvas.drawPath(_path(path, close=close), paint)

    def shape(self, path: str, colour: Colour, edge: Colour, width: float, *, fade: Fade | None = None) -> None:
        """Fill a closed path and outline it."""
        self.fill(path, colour, fade=fade)
        self.line(path, edge, width, close=True)

    def oval(
        self,
        x: float,
        y: float,
        radii: tuple[float, float],
        colour: Colour,
        *,
        alpha: int = 255,
        fade: Colour | None = None,
    ) -> None:
        """Fill an oval; `fade` is the colour at its bottom."""
        paint = skia.Paint(AntiAlias=True, Color=_skia(colour, alpha))
        if fade is not None:
            paint.setShader(_fade(colour, fade, (y - radii[1], y + radii[1])))
        self._canvas.drawOval(_rectangle(x, y, radii), paint)

    def ring(self, x: float, y: float, radii: tuple[float, float], colour: Colour, width: float) -> None:
        """Outline an oval."""
        paint = skia.Paint(AntiAlias=True, Color=_skia(colour), Style=skia.Paint.kStroke_Style, StrokeWidth=width)
        self._canvas.drawOval(_rectangle(x, y, radii), paint)


def _path(text: str, *, close: bool) -> "skia.Path":
    """Read an absolute SVG path of M, L, Q and C commands."""
    builder = skia.PathBuilder()
    draw = {"M": builder.moveTo, "L": builder.lineTo, "Q": builder.quadTo, "C": builder.cubicTo}
    words = text.split()
    while words:
        command, words = words[0], words[1:]
        count = ARGUMENTS[command]
        draw[command](*map(float, words[:count]))
        words = words[count:]
    if close:
        builder.close()
    return builder.detach()


def _skia(colour: Colour, alpha: int = 255) -> int:
    red, green, blue = (int(min(255.0, max(0.0, channel))) for channel in colour)
    return int(skia.Color(red, green, blue, alpha))


def _fade(top: Colour, bottom: Colour, heights: tuple[float, float]) -> "skia.Shader":
    points = [(0.0, heights[0]), (0.0, heights[1])]
    return skia.GradientShader.MakeLinear(points=points, colors=[_skia(top), _skia(bottom)])


def _rectangle(x: float, y: float, radii: tuple[float, float]) -> "skia.Rect":
    return skia.Rect.MakeLTRB(x - radii[0], y - radii[1], x + radii[0], y + radii[1])
