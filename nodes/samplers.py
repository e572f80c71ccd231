"""Samplers and noise schedules: their names here (those of ComfyUI), and in A1111's picture metadata."""

from collections.abc import Iterator
from typing import Final, Literal

from engine.aliases import Aliases
from engine.problems import listed, shown

SamplerName = Literal[
    "euler",
    "euler_ancestral",
    "heun",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_3m_sde",
    "dpmpp_sde",
    "dpmpp_2s_ancestral",
    "ddim",
    "uni_pc",
    "uni_pc_bh2",
    "lcm",
]
"""How the steps are taken; every one works with every schedule, but for dpmpp_3m_sde with `normal`."""

ScheduleName = Literal["normal", "karras", "exponential", "sgm_uniform", "simple", "kl_optimal", "beta"]
"""How much noise is left before each step."""

_A1111_SAMPLERS: dict[SamplerName, str] = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "ddim": "DDIM",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
    "lcm": "LCM",
}

_A1111_SCHEDULES: dict[ScheduleName, str] = {
    "normal": "Normal",
    "karras": "Karras",
    "exponential": "Exponential",
    "sgm_uniform": "SGM Uniform",
    "simple": "Simple",
    "kl_optimal": "KL Optimal",
    "beta": "Beta",
}

_AUTOMATIC: dict[SamplerName, ScheduleName] = {
    "dpmpp_2m": "karras",
    "dpmpp_sde": "karras",
    "dpmpp_2s_ancestral": "karras",
    "dpmpp_2m_sde": "exponential",
    "dpmpp_3m_sde": "exponential",
}
"""What `Schedule type: Automatic` stands for in A1111 (`sd_samplers_kdiffusion.py`); `normal` for the others."""


def bad_match(sampler: SamplerName, schedule: ScheduleName) -> str | None:
    """Return why a sampler does not go with a schedule, None where it does."""
    if (sampler, schedule) != ("dpmpp_3m_sde", "normal"):
        return None
    return "dpmpp_3m_sde leaves noise in the picture with the schedule normal: take karras, exponential or beta"


def a1111_sampler(sampler: SamplerName, schedule: ScheduleName) -> str:
    """Return a sampler and its schedule as one A1111 name: `Euler a`, `DPM++ 2M Karras`.

    Only Karras and Exponential were ever part of a name; A1111 writes the others as a separate `Schedule type`.
    """
    name = _A1111_SAMPLERS[sampler]
    return f"{name} {_A1111_SCHEDULES[schedule]}" if schedule in ("karras", "exponential") else name


def a1111_schedule(schedule: ScheduleName) -> str:
    """Return A1111's `Schedule type` of a schedule."""
    return _A1111_SCHEDULES[schedule]


def sampler_of(name: str, schedule: str) -> tuple[SamplerName, ScheduleName] | None:
    """Return what A1111's `Sampler` and `Schedule type` are called here, None where there is no such thing.

    Older versions wrote Karras and Exponential behind the sampler's name, and no schedule.
    """
    for label in _A1111_SCHEDULES.values():
        if name.endswith(f" {label}"):
            name, schedule = name.removesuffix(f" {label}"), label
    sampler = next((own for own, label in _A1111_SAMPLERS.items() if label == name), None)
    if sampler is None:
        return None
    if schedule == "Automatic":
        return sampler, _AUTOMATIC.get(sampler, "normal")
    if schedule in ("", "Uniform"):
        return sampler, "normal"
    found = next((kind for kind, label in _A1111_SCHEDULES.items() if label == schedule), None)
    return None if found is None else (sampler, found)


def _other_samplers() -> Iterator[tuple[str, str]]:
    """Yield what A1111 calls samplers, where that is another name, and what it is here."""
    for label in dict.fromkeys(_A1111_SAMPLERS.values()):
        for schedule in ("", "Karras", "Exponential"):
            found = sampler_of(label, schedule)
            if found is not None and (schedule or label.lower() != found[0]):
                besides = f" with the schedule {shown(found[1])}" if schedule else ""
                yield f"{label} {schedule}".strip(), f"{shown(found[0])}{besides}"


def _other_schedules() -> Iterator[tuple[str, str]]:
    """Yield what A1111 calls schedules, where that is another name, and what it is here."""
    for schedule, label in _A1111_SCHEDULES.items():
        if label.lower() != schedule:
            yield label, shown(schedule)
    yield "Uniform", shown("normal")
    own = [
        f"{shown(schedule)} for {listed([name for name, kind in _AUTOMATIC.items() if kind == schedule], 'and')}"
        for schedule in dict.fromkeys(_AUTOMATIC.values())
    ]
    yield "Automatic", ", ".join((*own, f"{shown('normal')} for the others"))


SAMPLER_ALIASES: Final = Aliases(tuple(_other_samplers()))
SCHEDULE_ALIASES: Final = Aliases(tuple(_other_schedules()))
