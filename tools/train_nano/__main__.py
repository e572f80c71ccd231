"""`python -m tools.train_nano --preset cpu --out DIR`: train nova-nano, or go on where a run was cut."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tools.train_nano.config import PRESETS, Config

SMALLEST = 64


def train(
    out: Annotated[Path, typer.Option(help="Folder of the run; the same folder continues it.")],
    preset: Annotated[str, typer.Option(help="smoke, cpu, further or gpu.")] = "cpu",
    native: Annotated[int | None, typer.Option(help="Edge of the pictures in pixels: 128, 192 or 256.")] = None,
    until: Annotated[str | None, typer.Option(help="Last stage to run, such as render.")] = None,
    device: Annotated[str, typer.Option(help="cuda, cpu, or auto.")] = "auto",
    start: Annotated[Path | None, typer.Option(help="A checkpoint to train further, such as the shipped one.")] = None,
) -> None:
    """Train nova-nano, from nothing or further. Stages that are done are not repeated."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch

    from tools.train_nano.progress import Progresses
    from tools.train_nano.report import OtherRun, as_markdown, read_figures, write_report
    from tools.train_nano.stages import FURTHER, STAGES, Run

    stages = STAGES if start is None else FURTHER
    if until is not None and until not in stages:
        raise typer.BadParameter(f"there is no stage {until!r}; there are {', '.join(stages)}")
    config = _configure(preset, native, start)
    chosen = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        done = read_figures(out, config)
    except OtherRun as error:
        raise typer.BadParameter(str(error)) from error
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    with Progresses(console) as progresses:
        run = Run(config, out, torch.device(chosen), progresses, start=start)
        write_report(out, config, run.commit, done)
        for name, stage in stages.items():
            if name not in done:
                progresses.tell(f"{name} ...")
                done[name] = stage(run)
                write_report(out, config, run.commit, done)
            if name == until:
                break
    console.print(as_markdown(config, run.commit, done))


def _configure(preset: str, native: int | None, start: Path | None) -> Config:
    from engine.errors import NovaError
    from tools.train_nano.start import OtherShape, check_start

    if preset not in PRESETS:
        raise typer.BadParameter(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}")
    config = PRESETS[preset]
    if native is not None:
        if native < SMALLEST or native % SMALLEST:
            raise typer.BadParameter(f"the native size must be a multiple of {SMALLEST}")
        config = dataclasses.replace(config, native=native)
    if start is None:
        return config
    try:
        return dataclasses.replace(config, start=check_start(start, config))
    except (OtherShape, NovaError) as error:
        raise typer.BadParameter(str(error)) from error


if __name__ == "__main__":
    typer.run(train)
