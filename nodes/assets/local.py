"""The assets of this machine, and those that it may download."""

from pathlib import Path

from engine.assets import Asset, Fetchable, Found, Report
from engine.errors import AssetRefused
from engine.stamps import stamp_of
from nodes.assets.automatic import find_checkpoint, find_detector, find_nano, find_vae
from nodes.assets.contents import check_content, check_suffix
from nodes.assets.downloads import Downloads
from nodes.assets.files import is_regular
from nodes.assets.hashes import HashIndex, Watch
from nodes.assets.named import check_name, find_named
from nodes.assets.origins import Origins
from nodes.assets.patience import Patience
from nodes.assets.places import WEIGHTS, Folders, Located, Place, Remote, show_path
from nodes.assets.settings import Settings

_MAX_PICTURE = 256 << 20
_NONE = {
    "vae": "the checkpoint's own VAE",
    "lora": "no LoRA",
    "embedding": "no embedding",
    "controlnet": "no ControlNet",
}
"""What `none` means, by kind."""

_PATIENCE = Patience()


def _unheard(_done: int, _total: int | None, _what: str) -> None:
    """Tell nobody."""


class LocalAssets:
    """Looks names up as docs/checkpoints.md tells; implements `engine.assets.Assets`.

    Kinds: checkpoint (`auto`, `nova-nano`), vae (`auto`, `none`), detector (`auto`), lora, embedding and controlnet
    (`none`), upscaler, and any other, such as image, as a plain file. Every kind takes a name in models.lock or in the
    cache and, where allowed, a path.
    `reading` hears how far a file is read that was never seen before, which takes a while for a big one.
    """

    def __init__(self, settings: Settings, patience: Patience = _PATIENCE, reading: Report = _unheard) -> None:
        folders = Folders(settings.cache)
        self._settings = settings
        self._hashes = HashIndex(folders.hashes)
        self._origins = Origins(folders.origins)
        self._downloads = Downloads(self._origins, patience)
        self._reading = reading

    @property
    def settings(self) -> Settings:
        """What decides where things are found."""
        return self._settings

    def find(self, asset: Asset) -> Found | Fetchable:
        """Look an asset up without downloading. Raises AssetMissing, AssetRefused."""
        place = self.place(asset)
        if isinstance(place, Remote):
            return Fetchable(asset, place.how)
        return self._found(asset, place, self._reading)

    def fetch(self, asset: Asset, report: Report) -> Found:
        """Download an asset if need be; `report` may raise Cancelled. Raises AssetError."""
        place = self.place(asset)
        if isinstance(place, Located):
            return self._found(asset, place, report)
        with self._downloads.alone(place.source, place.folder, report):
            again = self.place(asset)  # somebody else may have downloaded it meanwhile
            if isinstance(again, Located):
                return self._found(asset, again, report)
            download = self._downloads.get(again.source, again.folder, report, by_content=again.by_content)
            self._hashes.note(download.path, download.sha256)
        return Found(asset, download.path, download.sha256, f"{again.how}, downloaded just now")

    def place(self, asset: Asset) -> Place:
        """Say where an asset is, without looking into it. Raises AssetMissing, AssetRefused."""
        match asset.kind, asset.name:
            case "checkpoint", "auto":
                return find_checkpoint(self._settings)
            case "checkpoint", "nova-nano":
                return find_nano(self._settings)
            case "vae", "auto":
                return find_vae(self._settings)
            case "vae" | "lora" | "embedding" | "controlnet" as kind, "none":
                return Located(None, _NONE[kind])
            case "detector", "auto":
                return find_detector(self._settings)
        check_name(Asset("kind", asset.kind), allow_paths=False)
        return find_named(self._settings, asset)

    def _found(self, asset: Asset, place: Located, reading: Report) -> Found:
        if place.path is None:
            return Found(asset, None, "", place.how)
        shown = show_path(self._settings, place.path)
        try:
            stamp = stamp_of(place.path)
            sha256 = self._check(asset, place.path, shown, reading)
        except OSError as error:
            raise AssetRefused(f"{shown} cannot be read: {error.strerror or type(error).__name__}") from None
        if place.sha256 and sha256 != place.sha256:
            raise AssetRefused(
                f"{shown} is not the file that models.lock notes for {asset.name}: its sha256 is {sha256}, "
                f"not {place.sha256}",
                hint="Put the noted file back, or note the new one with `nova-graph models`.",
            )
        return Found(asset, place.path, sha256, place.how + self._remarks(place, sha256), stamp)

    def _check(self, asset: Asset, path: Path, shown: str, reading: Report) -> str:
        if not is_regular(path):
            raise AssetRefused(f"{shown} is not a file", hint=f"Name the {asset.kind}'s file itself.")
        known = self._hashes.known(path)
        if asset.kind in WEIGHTS:
            check_suffix(path, asset.kind, self._settings.allow_pickle)
            if known is None:
                check_content(path, path.suffix, shown)
        elif path.stat().st_size > _MAX_PICTURE:
            raise AssetRefused(f"{shown} is bigger than the {_MAX_PICTURE:,} bytes allowed for a {asset.kind}")
        return known if known is not None else self._hashes.sha256(path, _counted(path, reading))

    def _remarks(self, place: Located, sha256: str) -> str:
        label = self._origins.label(sha256)
        remarks = f", downloaded from {label}" if label else ""
        if place.unused is not None and not self._origins.is_from(sha256, place.unused):
            remarks += f"; {place.unused.label} is set too, but the cache comes first: remove the file to get that one"
        return remarks


def _counted(path: Path, reading: Report) -> Watch:
    """Report how much of a file has been read, from the very beginning."""
    size, done = path.stat().st_size, 0
    reading(done, size, path.name)

    def watch(read: int) -> None:
        nonlocal done
        done += read
        reading(done, size, path.name)

    return watch
