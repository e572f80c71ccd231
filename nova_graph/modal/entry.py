"""`modal run runtime_modal.py`: the default graph, drawn in the cloud and saved here."""

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from engine.values import Json
from nova_graph.cli.plain import PlainLines
from nova_graph.modal.client import modal_errors
from nova_graph.modal.costs import cost_line
from nova_graph.modal.documents import default_document
from nova_graph.modal.drawing import Drawn, Remote, draw
from nova_graph.modal.settings import CloudSettings


def draw_default(remote: Remote, settings: CloudSettings, inputs: Mapping[str, Json], out: Path) -> tuple[Path, ...]:
    """Draw the default graph, save the pictures as `output_<date>_<time>.png`, and say what it took; raises NovaError.

    The graph is checked here first, so that a mistake costs nothing.
    """
    settled = default_document(inputs)
    began = datetime.now().astimezone()
    with modal_errors(settings):
        drawn = draw(remote, settled, PlainLines(sys.stderr.write).show, _say)
    paths = save(drawn, out, datetime.now().astimezone())
    for path in paths:
        sys.stdout.write(f"{path}\n")
    seconds = (datetime.now().astimezone() - began).total_seconds()
    _say(f"{seconds:.1f} s in all; {cost_line(drawn)}")
    if drawn.error is not None:
        raise drawn.error
    return paths


def save(drawn: Drawn, folder: Path, now: datetime) -> tuple[Path, ...]:
    """Write pictures as `output_20260701_120000.png`, with `_2`, `_3` ... where that is taken."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for file in drawn.files:
        ending = file.media_type.rpartition("/")[2].replace("jpeg", "jpg")
        base, number = f"output_{now:%Y%m%d_%H%M%S}", 1
        path = folder / f"{base}.{ending}"
        while path.exists():
            number += 1
            path = folder / f"{base}_{number}.{ending}"
        path.write_bytes(file.data)
        paths.append(path)
    return tuple(paths)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
