"""Pictures as files named by the sha256 of their bytes."""

import hashlib
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.atomic import sweep, write_atomically
from nova_graph.service.backend import StoreFull


class Blobs:
    """A folder of blobs; two pictures with the same bytes are one file. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._pinned: Counter[str] = Counter()

    @contextmanager
    def pinned(self, names: Collection[str]) -> Iterator[None]:
        """Keep these from being removed while nothing in the ledger refers to them yet."""
        with self._lock:
            self._pinned.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._pinned.subtract(names)
                self._pinned += Counter()

    def write(self, data: bytes) -> None:
        """Store a blob so that it lasts; pin it before. Raises StoreFull."""
        path = self._path(name_of(data))
        try:
            if path.exists() and path.stat().st_size == len(data):
                return
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, [data])
        except OSError as error:
            raise StoreFull(f"a picture could not be kept: {error.strerror or type(error).__name__}") from error

    def read(self, name: str) -> bytes | None:
        """Return a blob, or None where it is not there or not what it was."""
        try:
            data = self._path(name).read_bytes()
        except OSError:
            return None
        return data if name_of(data) == name else None

    def remove(self, name: str) -> None:
        """Delete a blob that nothing refers to, unless it is pinned."""
        with self._lock:
            if not self._pinned[name]:
                with suppress(OSError):
                    self._path(name).unlink()

    def sweep(self, known: Collection[str]) -> int:
        """Delete every blob that is not known, and what killed writers left; returns how many blobs there were."""
        removed = 0
        for folder in self._folder.glob("[0-9a-f][0-9a-f]"):
            sweep(folder)
            for path in folder.iterdir():
                if path.name not in known and not path.name.startswith("."):
                    self.remove(path.name)
                    removed += 1
        return removed

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name


def name_of(data: bytes) -> str:
    """Return the name of a blob."""
    return hashlib.sha256(data).hexdigest()
