"""What the loading tests share: files by their content, an environment, and somebody who hears warnings."""

from dataclasses import dataclass, field
from pathlib import Path

from engine.environment import Environment
from engine.errors import AssetMissing
from nodes.values import Weights

WEIGHTS = Weights("0" * 64, "tiny.safetensors")


@dataclass
class FileLoading:
    """A `Loading` over a few files."""

    files: dict[str, Path]
    environment: Environment = field(default_factory=Environment)
    warnings: list[str] = field(default_factory=list)

    def path(self, sha256: str) -> Path:
        """Return the file with this content."""
        if sha256 not in self.files:
            raise AssetMissing(f"no file has the sha256 {sha256}")
        return self.files[sha256]

    def check(self, sha256: str) -> None:
        """Do nothing: nothing here changes."""

    def warn(self, text: str) -> None:
        """Remember a warning."""
        self.warnings.append(text)


def loading(path: Path, dtype: str = "float32") -> FileLoading:
    """Return a loading where `WEIGHTS` is that file."""
    return FileLoading({WEIGHTS.sha256: path}, Environment(dtype=dtype))
