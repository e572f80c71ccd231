"""Files that appear whole or not at all."""

import errno
import os
import secrets
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

SUFFIX = ".tmp"
"""Ends the name of every file that is still being written."""

_UNLOCKABLE_AGE = 3600.0
"""Seconds after which a leftover is swept where the file system knows no locks."""


def write_atomically(
    path: Path, parts: Iterable[bytes | memoryview], *, mode: int = 0o600, sync_name: bool = True
) -> None:
    """Write a file so that a reader, or a crash at any byte, finds the old one or the whole new one.

    The bytes go to a temporary file in the same folder, to the disk, and then take the name at once. The temporary
    file is locked while its writer lives, so `sweep` can tell a leftover from one in use. `mode` is that of the file,
    as far as the umask lets it. With `sync_name` its name is on the disk too when this returns. Raises OSError.
    """
    descriptor, temporary = _create(path, mode)
    try:
        for part in parts:
            _write_all(descriptor, part)
        os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(descriptor)
    if sync_name:
        sync_folder(path.parent)


def sweep(folder: Path) -> None:
    """Delete what writers that are no more have left in a folder; those still at work are left alone."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                with suppress(OSError):
                    _delete_abandoned(Path(entry.path))


def temporary_name(path: Path) -> Path:
    """Return a name beside `path` that nobody else has and that `sweep` knows."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}{SUFFIX}")


def _create(path: Path, mode: int) -> tuple[int, Path]:
    while True:
        temporary = temporary_name(path)
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _NO_FOLLOW, mode)
        locked = _lock(descriptor)
        # A sweeper may have come between the two lines above; then it holds the lock, or the file has lost its name.
        if locked is not False and os.fstat(descriptor).st_nlink > 0:
            return descriptor, temporary
        os.close(descriptor)


def _delete_abandoned(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | _NO_FOLLOW | _NO_WAIT)
    try:
        locked = _lock(descriptor)
        if locked is None:
            locked = time.time() - os.fstat(descriptor).st_mtime > _UNLOCKABLE_AGE
        if locked:
            path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Lock an open file: True if it is ours now, False if another has it, None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
