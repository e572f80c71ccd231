"""`modal run runtime_modal.py`: the default graph, drawn in the cloud and saved here."""

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from engine.errors import NovaError
from engine.values import Json
from nova_graph.cli.plain import PlainLines
from nova_graph.cli.printing import say
from nova_graph.cli.saving import check_folder, print_paths, save_as
from nova_graph.modal.client import modal_errors
from nova_graph.modal.costs import cost_line
from nova_graph.modal.documents import default_document
from nova_graph.modal.drawing import Remote, draw
from nova_graph.modal.settings import CloudSettings


def draw_or_exit(remote: Remote, settings: CloudSettings, inputs: Mapping[str, Json], out: Path) -> None:
    """Draw as `draw_default` does; raises SystemExit with the text of what went wrong."""
    try:
        draw_default(remote, settings, inputs, out)
    except NovaError as error:
        raise SystemExit(str(error)) from None


def draw_default(remote: Remote, settings: CloudSettings, inputs: Mapping[str, Json], out: Path) -> None:
    """Draw the default graph, save the pictures as `output_<date>_<time>.png`, and say what it took; raises NovaError.

    The graph and the folder are checked here first, so that a mistake costs nothing.
    """
    settled = default_document(inputs)
    check_folder(out)
    began = datetime.now().astimezone()
    with modal_errors(settings):
        drawn = draw(remote, settled, PlainLines(sys.stderr.write).show, say)
    name = f"output_{datetime.now().astimezone():%Y%m%d_%H%M%S}"
    print_paths(save_as(drawn.files, out, name))
    seconds = (datetime.now().astimezone() - began).total_seconds()
    say(f"{seconds:.1f} s in all; {cost_line(drawn)}")
    if drawn.error is not None:
        raise drawn.error
