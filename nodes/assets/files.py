"""Files: written whole or not at all, and looked at without surprises."""

import os
import stat
from pathlib import Path

from engine import atomic


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the content of a file in one step, durably; the folder is made if need be. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_atomically(path, [data], mode=0o644)


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def expand(text: str) -> Path:
    """Return a path with its `~` resolved, where there is such a user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def exists(path: Path) -> bool:
    """Tell whether something is there; what cannot be looked at, or cannot be a name, is not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_regular(path: Path) -> bool:
    """Tell whether this is a plain file (links followed), not a folder, pipe or device."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False
