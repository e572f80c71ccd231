"""How long calls took: one file for each container, put together by whoever asks."""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from engine.values import Json
from nova_graph.modal.prices import AS_OF, estimate

KEEP_DAYS: Final = 30
"""Files of containers that wrote nothing for so long are deleted; no container of Modal's lives longer than a day."""

_SAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class TimingLog:
    """Appends one JSON line a call to `<folder>/<container>.jsonl`; no other container writes to that file."""

    folder: Path
    container: str

    def add(self, entry: dict[str, Json]) -> None:
        """Write down one call."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{_SAFE.sub('-', self.container)}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def forget_old(folder: Path, now: float | None = None) -> int:
    """Delete the files of containers that are long gone; returns how many there were."""
    until = (time.time() if now is None else now) - KEEP_DAYS * 86_400
    old = [path for path in folder.glob("*.jsonl") if path.stat().st_mtime < until]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def read_entries(folder: Path) -> list[dict[str, Json]]:
    """Return the calls of all containers by their time; half a line, being written just now, is left out."""
    entries: list[dict[str, Json]] = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                entries.append(entry)
    return sorted(entries, key=lambda entry: _number(entry, "time"))


def summarize(entries: Iterable[dict[str, Json]]) -> dict[str, Json]:
    """Return counts, seconds and an estimate of the GPU's price over all calls and the starts of their containers."""
    listed = list(entries)
    seconds = [_number(entry, "seconds") for entry in listed]
    cold = [_number(entry, "cold") for entry in listed if _number(entry, "cold")]
    priced = [estimate(str(entry.get("device", "")), _billed(entry)) for entry in listed]
    return {
        "calls": len(listed),
        "containers": len({str(entry.get("container")) for entry in listed}),
        "failed": sum(entry.get("outcome") != "ok" for entry in listed),
        "seconds": round(sum(seconds), 3),
        "median_seconds": round(median(seconds), 3) if seconds else None,
        "cold_starts": len(cold),
        "median_cold_seconds": round(median(cold), 3) if cold else None,
        "nodes_ran": int(sum(_number(entry, "ran") for entry in listed)),
        "nodes_cached": int(sum(_number(entry, "cached") for entry in listed)),
        "gpu_dollars": round(sum(each.dollars for each in priced if each is not None), 4),
        "prices_as_of": AS_OF,
    }


def _billed(entry: dict[str, Json]) -> float:
    """Return the seconds of a call, its container's start included, for which a GPU is paid."""
    return _number(entry, "seconds") + _number(entry, "cold")


def _number(entry: dict[str, Json], name: str) -> float:
    value = entry.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
