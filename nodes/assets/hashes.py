"""The sha256 of files, computed once per content."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.errors import AssetRefused
from nodes.assets.files import write_atomically

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FINE_TICK = 100_000_000
_COARSE_TICK = 2_000_000_000
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What the file system says of a file; any change of content changes it."""

    path: str
    size: int
    modified: int
    changed: int
    inode: int

    @property
    def tick(self) -> int:
        """How long, in nanoseconds, two changes may share a time on this file system (2 s on FAT)."""
        whole_seconds = self.modified % _SECOND == 0 and self.changed % _SECOND == 0
        return _COARSE_TICK if whole_seconds else _FINE_TICK


class HashIndex:
    """Remembers the sha256 of files in a folder, one small file each, safe for many processes.

    An entry holds as long as real path, size, both times and inode stay the same. A file changed within the last tick
    of its file system's clock is not remembered, since a second change in the same tick would go unnoticed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def known(self, path: Path) -> str | None:
        """Return the sha256 of a file if it is remembered and still holds."""
        with suppress(OSError, ValueError):
            stamp = _stamp(path)
            entry = json.loads(self._entry(stamp).read_bytes())
            digest = entry.get("sha256") if isinstance(entry, dict) else None
            if _is_digest(digest) and entry == {**_fields(stamp), "sha256": digest}:
                return str(digest)
        return None

    def sha256(self, path: Path, watch: Callable[[], None] = lambda: None) -> str:
        """Return the sha256 of a file; `watch` is called between blocks and may raise. Raises AssetRefused, OSError."""
        known = self.known(path)
        return known if known is not None else self._compute(path, watch)

    def _compute(self, path: Path, watch: Callable[[], None]) -> str:
        before = _stamp(path)
        digest = hash_file(path, watch)
        if _stamp(path) != before:
            raise AssetRefused(f"{path.name} is being written to while it is read", hint="Try again when it is whole.")
        if time.time_ns() - max(before.modified, before.changed) > before.tick:
            record = json.dumps({**_fields(before), "sha256": digest}).encode()
            with suppress(OSError):  # a cache that cannot be written costs time, nothing else
                write_atomically(self._entry(before), record)
        return digest

    def _entry(self, stamp: _Stamp) -> Path:
        name = hashlib.sha256(os.fsencode(stamp.path)).hexdigest()[:32]
        return self._folder / f"{name}.json"


def hash_file(path: Path, watch: Callable[[], None] = lambda: None) -> str:
    """Compute the sha256 of a file's content as lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(4 << 20):
            digest.update(block)
            watch()
    return digest.hexdigest()


def _stamp(path: Path) -> _Stamp:
    real = path.resolve()
    found = real.stat()
    return _Stamp(str(real), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _fields(stamp: _Stamp) -> dict[str, str | int]:
    return {
        "path": os.fsencode(stamp.path).decode("utf-8", "backslashreplace"),
        "size": stamp.size,
        "modified": stamp.modified,
        "changed": stamp.changed,
        "inode": stamp.inode,
    }


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None
