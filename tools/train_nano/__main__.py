"""`python -m tools.train_nano --preset cpu --out DIR`: train nova-nano, or go on where a run was cut."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tools.train_nano.config import PRESETS


def train(
    out: Annotated[Path, typer.Option(help="Folder of the run; the same folder continues it.")],
    preset: Annotated[str, typer.Option(help="smoke, cpu or gpu.")] = "cpu",
    native: Annotated[int | None, typer.Option(help="Edge of the pictures in pixels: 128, 192 or 256.")] = None,
    until: Annotated[str | None, typer.Option(help="Last stage to run, such as render.")] = None,
    device: Annotated[str, typer.Option(help="cuda, cpu, or auto.")] = "auto",
) -> None:
    """Train nova-nano from nothing. Stages that are done are not repeated."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch

    from tools.train_nano.progress import Progresses
    from tools.train_nano.report import OtherRun, as_markdown, read_figures, write_report
    from tools.train_nano.stages import STAGES, Run

    if preset not in PRESETS:
        raise typer.BadParameter(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}")
    if until is not None and until not in STAGES:
        raise typer.BadParameter(f"there is no stage {until!r}; there are {', '.join(STAGES)}")
    config = PRESETS[preset]
    if native is not None:
        if native < 64 or native % 64:
            raise typer.BadParameter("the native size must be a multiple of 64")
        config = dataclasses.replace(config, native=native)
    chosen = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        done = read_figures(out, config)
    except OtherRun as error:
        raise typer.BadParameter(str(error)) from error
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    with Progresses(console) as progresses:
        run = Run(config, out, torch.device(chosen), progresses)
        write_report(out, config, run.commit, done)
        for name, stage in STAGES.items():
            if name not in done:
                progresses.tell(f"{name} ...")
                done[name] = stage(run)
                write_report(out, config, run.commit, done)
            if name == until:
                break
    console.print(as_markdown(config, run.commit, done))


if __name__ == "__main__":
    typer.run(train)
