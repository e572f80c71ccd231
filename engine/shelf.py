"""Where the files of a store lie: `<root>/ab/<key>.safetensors`."""

import errno
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.atomic import sweep, temporary_name, write_atomically
from engine.codec import CorruptBlob

_KEY: Final = re.compile("[0-9a-f]{64}")
_SUFFIX: Final = ".safetensors"
_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the store; `used` is when it was last used, in seconds since 1970."""

    key: str
    path: Path
    size: int
    used: float


class Shelf:
    """The folders and files under `root`; symbolic links in there are never followed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, key: str) -> Path:
        """Return where a key's file lies; raises ValueError for anything but 64 hexadecimal digits."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a cache key: {key!r}")
        return self._root / key[:2] / (key + _SUFFIX)

    def write(self, path: Path, data: bytes) -> None:
        """Write a file, in folders that only their owner may read; raises OSError.

        After a power cut its name may be missing: then it is computed again.
        """
        self._refuse_links(path)
        try:
            write_atomically(path, [data], sync_name=False)
        except FileNotFoundError:
            self._make_folders(path)
            write_atomically(path, [data], sync_name=False)

    def read(self, path: Path, limit: int) -> tuple[bytes, int]:
        """Return a file's bytes and inode; raises OSError, and CorruptBlob for what was never written by a store."""
        self._refuse_links(path)
        try:
            descriptor = os.open(path, _READ)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise CorruptBlob("it is a symbolic link") from error
            raise
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise CorruptBlob("it is not a plain file")
            if status.st_size > limit:
                raise CorruptBlob("it is larger than the whole cache may be")
            return file.readall(), status.st_ino

    def remove(self, path: Path) -> bool:
        """Delete a file; False where there was none. Raises OSError."""
        self._refuse_links(path)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def scan(self) -> list[Found]:
        """List the files, in no order; raises OSError."""
        found = []
        for shard in self._shards():
            with suppress(FileNotFoundError), os.scandir(shard) as entries:
                for entry in entries:
                    key = entry.name.removesuffix(_SUFFIX)
                    if _KEY.fullmatch(key) and key != entry.name and key[:2] == shard.name:
                        with suppress(FileNotFoundError):
                            status = entry.stat(follow_symlinks=False)
                            found.append(Found(key, Path(entry.path), status.st_size, status.st_mtime))
        return found

    def sweep(self) -> None:
        """Delete what killed writers left."""
        with suppress(OSError):
            for shard in self._shards():
                sweep(shard)

    def _make_folders(self, path: Path) -> None:
        self._root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self._root, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._refuse_links(path)

    def _refuse_links(self, path: Path) -> None:
        for folder in (self._root, path.parent):
            if folder.is_symlink():
                raise OSError(errno.ELOOP, "symbolic links are not followed", str(folder))

    def _shards(self) -> list[Path]:
        try:
            with os.scandir(self._root) as entries:
                return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []


def discard(path: Path, inode: int | None) -> None:
    """Take a bad file away, unless another process has put a good one in its place since."""
    aside = temporary_name(path)
    with suppress(OSError):
        path.rename(aside)
        if inode is not None and aside.lstat().st_ino != inode:
            with suppress(FileExistsError):
                path.hardlink_to(aside)
        aside.unlink()
