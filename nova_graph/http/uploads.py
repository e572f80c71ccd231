"""Pictures that were sent in: named by their content, apart by owner, within a budget, for some days."""

import hashlib
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.assets import Asset, Assets, Fetchable, Found, Report
from engine.atomic import write_atomically
from engine.errors import AssetRefused
from nodes.pictures.formats import sniff_format

KIND: Final = "image"
"""The kind of asset that an upload can be."""

BLOCK: Final = 4096
"""Bytes that a small file takes on a disk."""

DAY: Final = 24 * 3600
KEPT: Final = 7 * DAY
"""Seconds after which a picture that was not sent in again is removed."""

_NAME = re.compile(r"[0-9a-f]{64}\.(png|jpg|webp)")
_OWNER = re.compile(r"[0-9a-z]{1,64}")
_ENDINGS: Final = {"png": "png", "jpeg": "jpg", "webp": "webp"}
MEDIA_TYPES: Final = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that was sent in; `expires` is in seconds since 1970."""

    name: str
    media_type: str
    size: int
    expires: float


class UploadsFull(Exception):
    """Pictures take all the space they may."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """A folder of pictures, one folder in it for each owner; any process may look into it."""

    folder: Path
    budget: int = 1 << 30
    """Bytes that one owner may use; each picture counts with a block of the disk at least."""
    total: int = 10 << 30
    """Bytes that all owners may use together."""
    reserve: int = 256 << 20
    """Bytes of the disk that stay free."""

    def keep(self, owner: str, data: bytes) -> Upload:
        """Keep a picture that was checked; raises AssetRefused, UploadsFull, OSError."""
        found = sniff_format(data)
        if found is None:
            raise AssetRefused("this is not a PNG, JPEG or WebP picture")
        path = self._home(owner) / f"{hashlib.sha256(data).hexdigest()}.{_ENDINGS[found]}"
        if self.find(owner, path.name) is not None:
            path.touch()
        else:
            self.expire()
            self._check_room(owner, len(data))
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomically(path, [data])
        return _upload(path)

    def list(self, owner: str) -> tuple[Upload, ...]:
        """Return the owner's pictures, the newest first."""
        uploads = self._uploads(self._home(owner))
        return tuple(sorted(uploads, key=lambda upload: upload.expires, reverse=True))

    def find(self, owner: str, name: str) -> Path | None:
        """Return where a picture of this owner is, or None."""
        if not _NAME.fullmatch(name):
            return None
        path = self._home(owner) / name
        try:
            return path if _upload(path).expires >= time.time() else None
        except FileNotFoundError:
            return None

    def remove(self, owner: str, name: str) -> bool:
        """Remove a picture of this owner; tells whether there was one."""
        path = self.find(owner, name)
        if path is not None:
            path.unlink(missing_ok=True)
        return path is not None

    def expire(self) -> None:
        """Remove every picture whose time is over, whoever sent it; raises OSError."""
        if not self.folder.is_dir():
            return
        self.folder.chmod(0o700)
        now = time.time()
        for home in self._homes():
            for upload in self._uploads(home, over=True):
                if upload.expires < now:
                    (home / upload.name).unlink(missing_ok=True)

    def assets_for(self, owner: str, assets: Assets) -> Assets:
        """Return the assets that this owner can name: those of the server, and the owner's own pictures."""
        return OwnerAssets(assets, self, owner)

    def _home(self, owner: str) -> Path:
        if not _OWNER.fullmatch(owner):
            raise AssetRefused("this is no owner of pictures")
        return self.folder / owner

    def _homes(self) -> tuple[Path, ...]:
        return tuple(path for path in self.folder.iterdir() if _OWNER.fullmatch(path.name))

    def _uploads(self, home: Path, *, over: bool = False) -> tuple[Upload, ...]:
        """Return the pictures in a folder; with `over`, also those whose time is over."""
        now = time.time()
        found = []
        for path in home.iterdir() if home.is_dir() else ():
            # Another thread may remove it meanwhile.
            with suppress(FileNotFoundError):
                if _NAME.fullmatch(path.name) and ((upload := _upload(path)).expires >= now or over):
                    found.append(upload)
        return tuple(found)

    def _check_room(self, owner: str, size: int) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        used = {home.name: sum(max(it.size, BLOCK) for it in self._uploads(home)) for home in self._homes()}
        own = used.get(owner, 0)
        if own + max(size, BLOCK) > self.budget:
            raise UploadsFull(f"{own:,} of {self.budget:,} bytes are used")
        if sum(used.values()) + max(size, BLOCK) > self.total:
            raise UploadsFull("all the space for pictures is used")
        if shutil.disk_usage(self.folder).free - size < self.reserve:
            raise UploadsFull("the disk is full")


@dataclass(frozen=True, slots=True)
class OwnerAssets:
    """The assets of the server, and the pictures of one owner; implements `engine.assets.Assets`."""

    assets: Assets
    uploads: Uploads
    owner: str

    def find(self, asset: Asset) -> Found | Fetchable:
        """Look an asset up; raises AssetError."""
        return self._upload(asset) or self.assets.find(asset)

    def fetch(self, asset: Asset, report: Report) -> Found:
        """Download an asset if need be; raises AssetError."""
        return self._upload(asset) or self.assets.fetch(asset, report)

    def _upload(self, asset: Asset) -> Found | None:
        path = self.uploads.find(self.owner, asset.name) if asset.kind == KIND else None
        return Found(asset, path, path.stem, "sent in") if path is not None else None


def _upload(path: Path) -> Upload:
    about = path.stat()
    return Upload(path.name, MEDIA_TYPES[path.suffix[1:]], about.st_size, about.st_mtime + KEPT)
