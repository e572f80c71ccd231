"""`python -m tools.train_nano.evaluate`: measure a checkpoint and write its figures into the model card."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

EMBEDDED = Path("nodes/sdxl/nano")
CARD = Path("docs/nova-nano.md")
RENDERS_PER_STEP = 3


def evaluate(
    checkpoint: Annotated[Path, typer.Option(help="The model to measure.")] = EMBEDDED / "nova-nano.safetensors",
    detector: Annotated[Path, typer.Option(help="Its face detector.")] = EMBEDDED / "face.safetensors",
    prompts: Annotated[int, typer.Option(help="Held-out prompts.", min=4)] = 512,
    effects: Annotated[int, typer.Option(help="Cases for each effect.", min=1)] = 64,
    probe_steps: Annotated[int, typer.Option(help="Steps in which the probes learn from renders.", min=1)] = 4_000,
    work: Annotated[Path, typer.Option(help="Folder for probes, figures and grids.")] = Path("build/nano-eval"),
    card: Annotated[Path | None, typer.Option(help="Model card to write the figures into.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for the card's grids.")] = None,
) -> None:
    """Measure nova-nano."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from nova_graph import local_runtime
    from tools.train_nano.evaluate.card import measured_part, shares_as_json, write_into_card
    from tools.train_nano.evaluate.figures import Size, measure
    from tools.train_nano.evaluate.showcase import write_boxes, write_grids
    from tools.train_nano.progress import Progresses

    size = Size(prompts, effects, RENDERS_PER_STEP * probe_steps, probe_steps)
    console = Console()
    with local_runtime(on_disk=False) as runtime, Progresses(console) as progresses:
        measured = measure(runtime, checkpoint, detector, size, work, progresses)
        write_grids(pictures or work, measured)
        write_boxes(work / "faces.png", measured.drawn)
    command = f"make nano-eval ARGS='--prompts {prompts} --effects {effects} --probe-steps {probe_steps}'"
    part = measured_part(measured, command)
    told = {"shares": shares_as_json(measured.shares), "on renders": shares_as_json(measured.bounds)}
    work.mkdir(parents=True, exist_ok=True)
    (work / "figures.json").write_text(json.dumps({**told, "numbers": measured.numbers}, indent=1), encoding="utf-8")
    (work / "figures.md").write_text(part, encoding="utf-8")
    if card is not None:
        write_into_card(card, part)
    console.print(part, highlight=False, markup=False)


if __name__ == "__main__":
    typer.run(evaluate)
