"""What pip would install into an image, taken from what is installed here: nothing else can be imported there."""

import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_BY_MODAL = ("modal",)
"""What Modal itself puts into every container."""


class Packages:
    """Folders of links to installed packages, one for each set of requirements."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "packages"
        self._made: dict[frozenset[str], Path] = {}

    def folder(self, requirements: Iterable[str]) -> Path:
        """Return a folder that holds these packages and all that they require, as links."""
        wanted = frozenset([*requirements, *_BY_MODAL])
        if wanted not in self._made:
            folder = self._folder / str(len(self._made) + 1)
            folder.mkdir(parents=True)
            for path in _paths(closure(wanted)):
                link = folder / path.name
                if not link.exists():
                    link.symlink_to(path)
            self._made[wanted] = folder
        return self._made[wanted]


def closure(requirements: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """Return the installed packages that requirements stand for, and all that those require."""
    found: dict[str, importlib.metadata.Distribution] = {}
    rest = [(Requirement(text), frozenset({""})) for text in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while rest:
        requirement, _ = rest.pop()
        extras = frozenset(requirement.extras) | {""}
        name = canonicalize_name(requirement.name)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = importlib.metadata.distribution(name)
        for text in found[name].requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                try:
                    importlib.metadata.distribution(needed.name)
                except importlib.metadata.PackageNotFoundError:
                    continue  # for another platform, whatever its marker says
                rest.append((needed, extras))
    return list(found.values())


def _paths(distributions: Iterable[importlib.metadata.Distribution]) -> set[Path]:
    site = Path(str(importlib.metadata.distribution("modal").locate_file("")))
    paths: set[Path] = set()
    for distribution in distributions:
        names = {file.parts[0] for file in distribution.files or ()}
        paths.update(site / name for name in names - {"..", "__pycache__"} if not name.endswith(".pth"))
    return {path for path in paths if path.exists()}


def command() -> list[str]:
    """Return how a container's Python starts: without this environment's packages."""
    return [sys.executable, "-S", "-m", "modal._container_entrypoint"]
