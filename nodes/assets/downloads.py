"""Downloads that survive cuts and kills, and happen once however many ask."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.assets import Report
from engine.atomic import sync_folder
from engine.errors import AssetError, AssetRefused, FetchError
from nodes.assets.contents import check_content
from nodes.assets.files import sync_file
from nodes.assets.hashes import hash_file
from nodes.assets.origins import Origins
from nodes.assets.part import Part, Version
from nodes.assets.patience import Patience, insist
from nodes.assets.quiet import quiet_http
from nodes.assets.sources import Source
from nodes.assets.transfer import Transfer

_LIMIT = 64 << 30
_TICK = 0.2
_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class Download:
    """A finished download."""

    path: Path
    sha256: str


class Downloads:
    """Fetches sources into folders of the cache.

    A file gets its name in one rename, after its length, content and sha256 were checked and it is on the disk; until
    then its bytes lie in `.part` beside it, where the next attempt finds them. `limit` is in bytes.
    """

    def __init__(self, origins: Origins, patience: Patience, limit: int = _LIMIT) -> None:
        self._origins = origins
        self._patience = patience
        self._limit = limit

    @contextmanager
    def alone(self, source: Source, folder: Path, report: Report) -> Iterator[None]:
        """Wait until nobody else downloads this source into this folder. Raises FetchError, Cancelled."""
        from filelock import FileLock, Timeout

        part = Part(folder, source.identity)
        with _explained(folder):
            part.prepare()
        lock = FileLock(part.guard)
        while True:
            try:
                lock.acquire(timeout=_TICK)
                break
            except Timeout:
                report(0, None, f"{source.label} (another process is downloading it)")
        try:
            yield
        finally:
            lock.release()

    def get(self, source: Source, folder: Path, report: Report, *, by_content: bool = False) -> Download:
        """Download a source, to be called inside `alone`; `by_content` names the file by its sha256.

        Raises FetchError, Cancelled; what has come until then is kept for the next call.
        """
        part = Part(folder, source.identity)
        with _explained(folder), quiet_http():
            whole = _is_whole(part)
            mended = whole or self._complete(source, part, report)
            try:
                return self._finish(source, folder, part, report, by_content)
            except FetchError:
                if not mended:
                    raise
            # Put together from pieces that do not fit: once more, in one piece.
            self._complete(source, part, report)
            return self._finish(source, folder, part, report, by_content)

    def _complete(self, source: Source, part: Part, report: Report) -> bool:
        """Download until the part is whole, and tell whether it was put together from several replies."""
        import httpx

        def pause(seconds: float, reason: str) -> None:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                report(part.size, None, f"{source.label} ({reason}; again in {left:.0f} s)")
                time.sleep(min(_TICK, left))

        timeout = httpx.Timeout(20.0)
        with httpx.Client(follow_redirects=True, max_redirects=_REDIRECTS, timeout=timeout) as client:
            transfer = Transfer(client, source, part, self._limit)
            insist(
                lambda: transfer.attempt(report),
                label=source.label,
                progress=lambda: part.size,
                pause=pause,
                patience=self._patience,
            )
        return transfer.resumed

    def _finish(self, source: Source, folder: Path, part: Part, report: Report, by_content: bool) -> Download:
        version = part.version
        if version is None:
            raise FetchError(f"{source.label}: the download disappeared from {folder}", hint="Try again.")
        sync_file(part.path)
        try:
            sha256 = self._check(source, part, version, report)
        except AssetError as error:
            part.discard()
            raise FetchError(f"{source.label}: {error.message}", hint=source.denied) from None
        name = sha256 + Path(version.name).suffix if by_content else version.name
        target = _free_name(folder, name, sha256)
        self._origins.note(sha256, source)
        part.path.replace(target)
        sync_folder(folder)
        part.discard()
        return Download(target, sha256)

    def _check(self, source: Source, part: Part, version: Version, report: Report) -> str:
        size = part.size
        if source.size is not None and size != source.size:
            raise AssetRefused(f"what came has {size:,} bytes instead of {source.size:,}")
        check_content(part.path, Path(version.name).suffix, "what came")
        report(size, size, f"{source.label} (checking)")
        sha256 = hash_file(part.path, lambda _read: report(size, size, f"{source.label} (checking)"))
        if version.sha256 and sha256 != version.sha256:
            raise AssetRefused(f"what came has the sha256 {sha256} instead of {version.sha256}")
        return sha256


def _is_whole(part: Part) -> bool:
    version = part.version
    return version is not None and part.size > 0 and part.size == version.total


def _free_name(folder: Path, name: str, sha256: str) -> Path:
    """Keep another file of the same name; a file of the same content may be replaced."""
    target = folder / name
    if not os.path.lexists(target) or (target.is_file() and hash_file(target) == sha256):
        return target
    return folder / f"{target.stem}-{sha256[:8]}{target.suffix}"


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FetchError(
            f"A download cannot be kept in {folder}: {error.strerror or type(error).__name__}",
            hint="Make the folder writable, make room on its disk, or set NOVA_CACHE_DIR to another one.",
        ) from None
