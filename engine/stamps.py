"""Whether a file is still the one that was hashed, told without reading it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the file system says of a file: size in bytes, both times in nanoseconds, inode.

    Programs that keep `modified` when they overwrite a file cannot keep `changed`.
    """

    size: int
    modified: int
    changed: int
    inode: int


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of a file, links followed; raises OSError."""
    found = path.stat()
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
