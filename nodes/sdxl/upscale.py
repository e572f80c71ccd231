"""Making pictures larger with a network, in tiles whose seams are blended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from engine.errors import NovaError
from nodes.sdxl.arrays import from_tensor, to_tensor
from nodes.sdxl.room import Host, with_room
from nodes.sdxl.upscaler import LiveUpscaler
from nodes.values import Image

OVERLAP = 32
"""How many pixels neighbouring tiles share, at least. ComfyUI has the same."""

SMALLEST_TILE = 64

CELL = 16
"""Tiles begin at multiples of this many pixels, so that networks with windows cut tile and picture alike."""


class Watch(Host, Protocol):
    """Who hears how far it is; a node's context is one."""

    def progress(self, step: int, total: int) -> None:
        """Report `step` of `total` done; raises Cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of an edge: from `start` up to `stop` in pixels, and the share it has in each pixel of the larger edge."""

    start: int
    stop: int
    share: torch.Tensor


def upscale(live: LiveUpscaler, image: Image, *, tile: int, watch: Watch) -> Image:
    """Return pictures `live.factor` times larger, one at a time.

    `tile` is the tile edge in pixels, a multiple of 16. Where tiles do not fit into memory, idle models are forgotten,
    then tiles of half the edge are used, which is a makeshift. Raises NovaError where not even small tiles fit, or
    where the network makes numbers that are not finite.
    """
    pictures = to_tensor(image.pixels).permute(0, 3, 1, 2)
    larger = []
    for index, picture in enumerate(pictures):
        unit = picture[None].float() / 255

        def report(tiles_done: int, tiles: int, before: int = index) -> None:
            watch.progress(before * tiles + tiles_done, len(pictures) * tiles)

        larger.append(_fitting(live, unit, tile, watch, report))
    return Image(from_tensor(torch.cat(larger).permute(0, 2, 3, 1)), image.seeds)


def stretches(length: int, tile: int, factor: int) -> tuple[Stretch, ...]:
    """Cut an edge into overlapping stretches; their shares in a pixel add up to 1.

    A quarter of the overlap at the end of a stretch has no share, since a network knows less there; over the half after
    it the share rises evenly.
    """
    starts = [0]
    while starts[-1] + tile < length:
        starts.append(starts[-1] + tile - OVERLAP)
    bounds = [(start, min(start + tile, length)) for start in starts]
    weights = torch.zeros(len(bounds), length * factor)
    for row, (start, stop) in zip(weights, bounds, strict=True):
        place = (torch.arange((stop - start) * factor) + 0.5) / factor
        rise = torch.ones_like(place) if start == 0 else _rise(place)
        fall = torch.ones_like(place) if stop == length else _rise((stop - start) - place)
        row[start * factor : stop * factor] = torch.minimum(rise, fall)
    shares = weights / weights.sum(dim=0)
    return tuple(
        Stretch(start, stop, share[start * factor : stop * factor])
        for (start, stop), share in zip(bounds, shares, strict=True)
    )


def _rise(distance: torch.Tensor) -> torch.Tensor:
    return ((distance - OVERLAP / 4) / (OVERLAP / 2)).clamp(0, 1)


Report = Callable[[int, int], None]


def _fitting(live: LiveUpscaler, unit: torch.Tensor, tile: int, watch: Watch, report: Report) -> torch.Tensor:
    """Return one picture U8 [1, 3, height, width], made of smaller tiles where those asked for do not fit."""

    def smaller() -> torch.Tensor:
        half = max(SMALLEST_TILE, tile // 2 // CELL * CELL)
        watch.makeshift(f"tiles of {tile} pixels did not fit into memory; the picture is made of tiles of {half}")
        return _fitting(live, unit, half, watch, report)

    return with_room(
        lambda: _in_tiles(live, unit, tile, watch, report),
        watch,
        f"making a picture larger in tiles of {tile} pixels",
        smaller if tile > SMALLEST_TILE else None,
    )


def _in_tiles(live: LiveUpscaler, unit: torch.Tensor, tile: int, watch: Watch, report: Report) -> torch.Tensor:
    height, width = unit.shape[-2:]
    rows, columns = stretches(height, tile, live.factor), stretches(width, tile, live.factor)
    larger = torch.zeros(1, 3, height * live.factor, width * live.factor)
    done = 0
    for row in rows:
        for column in columns:
            watch.check()
            piece = unit[..., row.start : row.stop, column.start : column.stop]
            made = live.enlarge(piece.to(live.device)).float().cpu()
            if not torch.isfinite(made).all():
                raise NovaError(
                    f"the upscaler made numbers that are not finite at pixel ({column.start}, {row.start})",
                    hint="Its weights may be damaged: download the file again.",
                )
            top, left = row.start * live.factor, column.start * live.factor
            target = larger[..., top : top + made.shape[-2], left : left + made.shape[-1]]
            target += made * row.share[:, None] * column.share
            done += 1
            report(done, len(rows) * len(columns))
    return larger.clamp_(0, 1).mul_(255).round_().to(torch.uint8)
