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

Watch = Callable[[int], object]


def _nobody(_read: int) -> None:
    """Tell nobody."""


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

    def sha256(self, path: Path, watch: Watch = _nobody) -> str:
        """Return the sha256 of a file; `watch` hears the bytes of each block read and may raise.

        Raises AssetRefused, OSError.
        """
        known = self.known(path)
        return known if known is not None else self._compute(path, watch)

    def note(self, path: Path, digest: str) -> None:
        """Remember the sha256 of a file that was computed before it got its name; raises OSError.

        Where its content came long ago, the tick since the naming is waited out; a file that has only just been written
        is small, and is read again instead.
        """
        named = _stamp(path)
        if time.time_ns() - named.modified > named.tick:
            left = named.tick - (time.time_ns() - named.changed) + 1
            time.sleep(min(max(0, left), named.tick) / _SECOND)  # the clock of a file server may be hours ahead
            if _stamp(path) == named:
                self._remember(named, digest)

    def _compute(self, path: Path, watch: Watch) -> str:
        before = _stamp(path)
        digest = hash_file(path, watch)
        if _stamp(path) != before:
            raise AssetRefused(f"{path.name} is being written to while it is read", hint="Try again when it is whole.")
        self._remember(before, digest)
        return digest

    def _remember(self, stamp: _Stamp, digest: str) -> None:
        if time.time_ns() - max(stamp.modified, stamp.changed) > stamp.tick:
            record = json.dumps({**_fields(stamp), "sha256": digest}).encode()
            with suppress(OSError):  # a cache that cannot be written costs time, nothing else
                write_atomically(self._entry(stamp), record)

    def _entry(self, stamp: _Stamp) -> Path:
        name = hashlib.sha256(os.fsencode(stamp.path)).hexdigest()[:32]
        return self._folder / f"{name}.json"


def hash_file(path: Path, watch: Watch = _nobody) -> str:
    """Compute the sha256 of a file's content as lower-case hex; `watch` hears the bytes of each block and may raise."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(4 << 20):
            digest.update(block)
            watch(len(block))
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
