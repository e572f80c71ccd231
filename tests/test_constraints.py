"""Every installation has the same packages: what `constraints.txt` pins, and where it must not point."""

import re
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LINES = [line for line in Path("constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#")]
PINNED = {str(canonicalize_name(name)): pin for name, _, pin in (line.partition("==") for line in LINES)}


def needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> Iterator[str]:
    """Give the names of the packages that one needs here, and those that they need."""
    for text in requires(name) or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            continue
        step = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if step not in seen:
            seen.add(step)
            yield step[0]
            yield from needed(*step, seen)


def test_lines_are_names_and_versions_without_addresses() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)] == []


def test_every_package_that_the_project_needs_is_pinned_and_installed_so() -> None:
    names = set(needed("nova-graph", frozenset({"", "dev", "nano"}), set())) - {"nova-graph"}
    assert {"torch", "diffusers", "ultralytics", "pytest"} <= names
    assert {name: version(name) for name in names} == {name: PINNED.get(name) for name in names}


def test_torchvision_s_operators_work_with_this_torch() -> None:
    """They are missing where the two come from different builds, and transformers and diffusers break with them."""
    import torch
    from torchvision.ops import nms

    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [20.0, 20.0, 29.0, 29.0]])
    assert nms(boxes, torch.tensor([0.8, 0.9, 0.7]), 0.5).tolist() == [1, 2]
