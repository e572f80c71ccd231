"""Outputs kept in a folder, one file per key, shared by any number of processes."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from engine.codec import CorruptBlob, OutdatedBlob, Unstorable, check, decode, encode, read_metadata
from engine.errors import CacheError
from engine.node import Output
from engine.shelf import Found, Shelf, discard

Out = TypeVar("Out", bound=Output)

_HEADER_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its key, bytes, when it was last used (seconds since 1970), and a few words on what it holds."""

    key: str
    size: int
    used: float
    about: str


@dataclass(frozen=True, slots=True)
class Checked:
    """One file after a look at every byte of it; `problem` is empty where it is whole."""

    key: str
    problem: str


class Store:
    """A folder of outputs by key (64 hexadecimal digits), pruned to about `limit_bytes`, least recently used first.

    `get` and `put` never fail: what cannot be read is a miss, what cannot be written is not kept, and `warn` is told.
    What a user asks for by name (`entries`, `usage`, `verify`, `clear`, `prune`) raises CacheError if the folder cannot
    be used. Nothing is touched before the first `put`; the folder is then made readable by its owner only.
    """

    def __init__(self, folder: Path, limit_bytes: int, warn: Callable[[str], None]) -> None:
        self.folder = folder
        self.limit = limit_bytes
        self._warn = warn
        self._shelf = Shelf(folder / "v1")
        self._lock = Lock()
        self._warned: set[str] = set()
        self._total: int | None = None
        self._unscanned = 0
        self._newest = ""

    def get(self, key: str, output_class: type[Out]) -> Out | None:
        """Return what was put, or None; a file that is not whole, or not ours, is thrown away with a warning.

        One that another version of the program wrote is thrown away too, without.
        """
        path = self._shelf.path(key)
        inode: int | None = None
        try:
            data, inode = self._shelf.read(path, self.limit)
            output = decode(data, output_class, key=key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OutdatedBlob:
            discard(path, inode)
            return None
        except CorruptBlob as error:
            self._warn(f"threw away a file of the cache, {path}: {error}")
            discard(path, inode)
            return None
        except OSError as error:
            self._warn_once("read", f"cannot read {path} in the cache: {error.strerror}; its result is computed again")
            return None
        with suppress(OSError):
            os.utime(path)
        return output

    def put(self, key: str, output: Output, about: str = "") -> None:
        """Keep outputs; `about` is shown to people in listings."""
        path = self._shelf.path(key)
        try:
            data = encode(output, key=key, about=about)
        except Unstorable as error:
            self._warn_once(f"store {about}", f"results of {about} are kept in memory only: {error}")
            return
        if len(data) > self.limit:
            self._warn_once(
                "size", f"a result of {about} is larger than the whole cache folder may be; it is not stored"
            )
            return
        try:
            self._shelf.write(path, data)
            self._make_room(key, len(data))
        except OSError as error:
            why = error.strerror or str(error)
            self._warn_once("write", f"cannot write to the cache folder {self.folder}: {why}; going on without")

    def has(self, key: str) -> bool:
        """Tell whether there is a file for this key, whole or not."""
        try:
            return stat.S_ISREG(self._shelf.path(key).lstat().st_mode)
        except OSError:
            return False

    def entries(self) -> tuple[Entry, ...]:
        """List everything, last used first."""
        found = sorted(self._scan_or_fail(), key=lambda one: -one.used)
        return tuple(Entry(one.key, one.size, one.used, _about(one.path)) for one in found)

    def usage(self) -> tuple[int, int]:
        """Return how many entries there are, and their bytes."""
        found = self._scan_or_fail()
        return len(found), sum(one.size for one in found)

    def verify(self) -> Iterator[Checked]:
        """Read every file and check its digest; nothing is thrown away."""
        for one in self._scan_or_fail():
            try:
                check(self._shelf.read(one.path, self.limit)[0], key=one.key)
            except FileNotFoundError:
                continue
            except (OSError, CorruptBlob) as error:
                yield Checked(one.key, str(error))
            else:
                yield Checked(one.key, "")

    def remove(self, key: str) -> bool:
        """Delete one entry; False where there was none. Raises CacheError."""
        try:
            return self._shelf.remove(self._shelf.path(key))
        except OSError as error:
            raise self._failure(error) from error

    def clear(self) -> int:
        """Delete every entry and what killed writers left; returns how many entries there were."""
        removed = [self.remove(one.key) for one in self._scan_or_fail()]
        self._shelf.sweep()
        self._total = None
        return sum(removed)

    def prune(self) -> int:
        """Delete the least recently used entries until the rest fits the limit; returns how many bytes were freed."""
        self._shelf.sweep()
        found = self._scan_or_fail()
        before = sum(one.size for one in found)
        try:
            with self._lock:
                return before - self._evict(found, self.limit)
        except OSError as error:
            raise self._failure(error) from error

    def _make_room(self, key: str, size: int) -> None:
        """Count what was written; look at the whole folder now and then, since others write there too."""
        with self._lock:
            self._newest = key
            self._unscanned += size
            if self._total is None:
                self._shelf.sweep()
            elif self._total + self._unscanned <= self.limit and self._unscanned <= self.limit // 8:
                return
            found = self._shelf.scan()
            self._unscanned = 0
            self._total = sum(one.size for one in found)
            if self._total > self.limit:
                self._total = self._evict(found, self.limit * 7 // 8)

    def _evict(self, found: Iterable[Found], target: int) -> int:
        """Delete the least recently used until `target` bytes are left; returns what is left."""
        oldest_first = sorted(found, key=lambda one: one.used)
        total = sum(one.size for one in oldest_first)
        for one in oldest_first:
            if total <= target:
                break
            if one.key == self._newest:
                continue
            with suppress(FileNotFoundError):
                if one.path.lstat().st_mtime != one.used:
                    continue
                self._shelf.remove(one.path)
            total -= one.size
        return total

    def _scan_or_fail(self) -> list[Found]:
        try:
            return self._shelf.scan()
        except OSError as error:
            raise self._failure(error) from error

    def _warn_once(self, subject: str, text: str) -> None:
        if subject not in self._warned:
            self._warned.add(subject)
            self._warn(text)

    def _failure(self, error: OSError) -> CacheError:
        return CacheError(
            f"cannot use the cache folder {self.folder}: {error.strerror}",
            hint="Check who may read and write there, or choose another folder.",
        )


def _about(path: Path) -> str:
    """Return the few words in a file's header, empty where they cannot be read."""
    with suppress(OSError, CorruptBlob), path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length <= _HEADER_LIMIT:
            return read_metadata(file.read(length)).get("about", "")
    return ""
