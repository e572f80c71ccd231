"""Where an asset is: on this machine, or on the web."""

from dataclasses import dataclass
from pathlib import Path

from nodes.assets.settings import Settings
from nodes.assets.sources import Source

WEIGHTS = ("checkpoint", "vae", "detector", "lora", "embedding", "controlnet", "upscaler")
"""The kinds that are weights; other kinds are plain files."""


@dataclass(frozen=True, slots=True)
class Located:
    """A file on this machine; None where the name stands for nothing.

    `sha256` and `size` are what its content must have, where that is known. `unused` is a source that is set but comes
    later in the order.
    """

    path: Path | None
    how: str
    sha256: str = ""
    size: int | None = None
    unused: Source | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """A file to download into a folder, named by its sha256 or as the server says."""

    source: Source
    folder: Path
    how: str
    by_content: bool = False


Place = Located | Remote


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of the cache that hold assets and what is known about them."""

    cache: Path

    def shelf(self, kind: str) -> Path:
        """Where files of a kind lie under their own names."""
        return self.cache / kind

    @property
    def models(self) -> Path:
        """Where downloads of names in models.lock lie, named by their sha256."""
        return self.cache / "models"

    @property
    def hashes(self) -> Path:
        """Notes of the sha256 of files."""
        return self.cache / "hashes"

    @property
    def origins(self) -> Path:
        """Notes of where downloads came from."""
        return self.cache / "origins"

    @property
    def guards(self) -> Path:
        """Locks between processes."""
        return self.cache / "guards"

    def files(self, kind: str, suffixes: tuple[str, ...]) -> list[Path]:
        """List the files of a kind with one of these suffixes, by name; hidden ones are left out."""
        try:
            found = sorted(self.shelf(kind).iterdir())
        except OSError:
            return []
        return [path for path in found if path.suffix.lower() in suffixes and not path.name.startswith(".")]


def show_path(settings: Settings, path: Path) -> str:
    """Return a path as it may be shown: strangers only see the file's name."""
    return str(path) if settings.allow_paths else path.name


def suffixes_of(kind: str, allow_pickle: bool) -> tuple[str, ...]:
    """Return the suffixes that files of a kind may have, the best first."""
    return (".safetensors", ".pt") if kind == "detector" and allow_pickle else (".safetensors",)
