"""What a run came to, for programs (JSON) and for people (Markdown)."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from tools.train_nano.checkpoint import replacing
from tools.train_nano.config import Config


def write_report(folder: Path, config: Config, commit: str, stages: Mapping[str, Mapping[str, float]]) -> None:
    """Write report.json and report.md; called after each stage."""
    told = {"config": dataclasses.asdict(config), "commit": commit, "stages": stages}
    with replacing(folder / "report.json") as fresh:
        fresh.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with replacing(folder / "report.md") as fresh:
        fresh.write_text(as_markdown(config, commit, stages), encoding="utf-8")


class OtherRun(Exception):
    """A folder holds a run with another configuration."""


def read_figures(folder: Path, config: Config) -> dict[str, dict[str, float]]:
    """Return the figures of the stages that are done in a folder; raises OtherRun where it is not this run's."""
    path = folder / "report.json"
    if not path.exists():
        return {}
    told = json.loads(path.read_text(encoding="utf-8"))
    if told["config"] != json.loads(json.dumps(dataclasses.asdict(config))):
        raise OtherRun(f"{folder} holds a run with another configuration; use another folder, or delete it")
    figures: dict[str, dict[str, float]] = told["stages"]
    return figures


def as_markdown(config: Config, commit: str, stages: Mapping[str, Mapping[str, float]]) -> str:
    """Return the report for people."""
    lines = [
        f"# {config.title}, trained with the preset `{config.name}`",
        "",
        f"Native size {config.native}x{config.native}, seed {config.seed}, commit {commit}.",
        "",
        "| stage | figures |",
        "|---|---|",
    ]
    for stage, figures in stages.items():
        lines.append(f"| {stage} | {', '.join(f'{name} {value:.5g}' for name, value in figures.items())} |")
    return "\n".join(lines) + "\n"
