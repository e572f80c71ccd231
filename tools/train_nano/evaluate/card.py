"""The measured part of the model card."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tools.train_nano.checkpoint import replacing
from tools.train_nano.evaluate.figures import Measured
from tools.train_nano.evaluate.judge import Share

BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"
GOALS: Final[dict[str, float]] = {
    "hair colour": 0.95,
    "background colour": 0.95,
    "eye colour (close-up, eyes open)": 0.8,
    "framing": 0.9,
    "exactly one face (close-up, upper body)": 0.95,
    "exactly one face (full body)": 0.85,
    "weights 1.4 and 0.7 act the right way": 0.95,
    "detailer: face sharper, colours kept (full body)": 0.9,
}
TOGETHER: Final = ("expression (close-up, upper body)", "accessories, exactly those asked for", "hair style")
TOGETHER_GOAL: Final = 0.8
PSNR_GOAL: Final = 28.0
SECONDS_GOAL: Final = 4.0
PRECISION_GOAL: Final = 0.95
PAG_LOSS_ALLOWED: Final = 0.02
LEAST_EIGENVALUE: Final = 0.1


def measured_part(measured: Measured, command: str) -> str:
    """Return the figures as Markdown."""
    shares, bounds, numbers = measured.shares, measured.bounds, measured.numbers
    lines = [
        f"Measured by `{command}`: {len(measured.scenes)} held-out prompts at {measured.native}x{measured.native} "
        "pixels, 24 Euler-ancestral steps, cfg 5, seeds 0, 1, 2, ... The same probes judge the prompts' own renders: "
        "no model can score higher than that by drawing well.",
        "",
        "| figure | measured | on renders | goal |",
        "|---|---|---|---|",
    ]
    for name, share in shares.items():
        bound = f"{bounds[name].value:.1%}" if name in bounds else ""
        lines.append(f"| {name} | {share} | {bound} | {_goal(GOALS.get(name), share.value)} |")
    mean, bound_mean = (statistics.mean(values[name].value for name in TOGETHER) for values in (shares, bounds))
    name = "mean of expression, accessories, hair style"
    lines.append(f"| {name} | {mean:.1%} | {bound_mean:.1%} | {_goal(TOGETHER_GOAL, mean)} |")
    lines += _number_rows(numbers)
    return "\n".join(lines) + "\n"


def _goal(goal: float | None, value: float) -> str:
    if goal is None:
        return ""
    return f"{goal:.0%}, {'reached' if value >= goal else 'not reached'}"


def _number_rows(numbers: Mapping[str, float]) -> list[str]:
    eigenvalues = [value for name, value in numbers.items() if name.startswith("VAE eigenvalue")]
    psnr, seconds = numbers["VAE psnr"], numbers["seconds per picture"]
    precision, gained = numbers["detector mAP50 on renders"], numbers["PAG: accuracy gained"]
    differing, count = int(numbers["PAG: differing"]), int(numbers["PAG: pictures"])
    pag = differing == count and gained >= -PAG_LOSS_ALLOWED
    rows = [
        ("VAE on held-out renders, PSNR", f"{psnr:.1f} dB", f"28 dB, {_reached(psnr >= PSNR_GOAL)}"),
        (
            "eigenvalues of the latents' covariance",
            ", ".join(f"{value:.2f}" for value in eigenvalues),
            f"all four channels in use, {_reached(min(eigenvalues) >= LEAST_EIGENVALUE)}",
        ),
        (
            "face detector on held-out renders, mAP50",
            f"{precision:.3f}",
            f"0.95, {_reached(precision >= PRECISION_GOAL)}",
        ),
        (
            "seconds per picture (median, this machine)",
            f"{seconds:.2f}",
            f"under 4, {_reached(seconds < SECONDS_GOAL)}",
        ),
        (
            f"PAG at 3 against 0, {count} pictures",
            f"{differing} differ, accuracy {100 * gained:+.1f} points",
            f"all differ, at most 2 points lower, {_reached(pag)}",
        ),
    ]
    return [f"| {name} | {value} | | {goal} |" for name, value, goal in rows]


def _reached(reached: bool) -> str:
    return "reached" if reached else "not reached"


def write_into_card(card: Path, part: str) -> None:
    """Put the measured part between its marks in the card; raises ValueError where the marks are missing."""
    text = card.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{card} lacks the marks {BEGIN} and {END}")
    with replacing(card) as fresh:
        fresh.write_text(f"{before}{BEGIN}\n\n{part}\n{END}{after}", encoding="utf-8")


def shares_as_json(shares: Mapping[str, Share]) -> dict[str, dict[str, int]]:
    """Return shares as plain data."""
    return {name: {"hits": share.hits, "of": share.of} for name, share in shares.items()}
