"""Which models are there, and whether models.lock tells the truth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.assets import Asset, Fetchable, Report
from engine.errors import AssetError, AssetMissing, AssetRefused
from nodes.assets.addresses import carries_secret, is_address
from nodes.assets.downloads import Download, Downloads
from nodes.assets.files import exists, expand, is_regular
from nodes.assets.hashes import HashIndex, hash_file
from nodes.assets.local import LocalAssets
from nodes.assets.lockfile import Entry, check_named, read_lock, write_entry
from nodes.assets.named import place_entry
from nodes.assets.origins import Origins
from nodes.assets.patience import Patience
from nodes.assets.places import WEIGHTS, Folders, Remote, suffixes_of
from nodes.assets.sources import locked_url

State = Literal["here", "to download", "missing", "changed", "refused"]


@dataclass(frozen=True, slots=True)
class Model:
    """A name that a graph may use, what it stands for and whether it is here."""

    kind: str
    name: str
    state: State
    how: str
    path: Path | None = None
    sha256: str = ""


def list_models(assets: LocalAssets) -> tuple[Model, ...]:
    """List what `auto` stands for, the names in models.lock and the files in the cache. Raises AssetRefused."""
    settings = assets.settings
    names = [Asset("checkpoint", "auto"), Asset("checkpoint", "nova-nano"), Asset("vae", "auto")]
    names.append(Asset("detector", "auto"))
    names += [Asset(entry.kind, name) for name, entry in read_lock(settings.models_lock).items()]
    for kind in WEIGHTS:
        files = Folders(settings.cache).files(kind, suffixes_of(kind, settings.allow_pickle))
        names += [Asset(kind, path.stem) for path in files]
    return tuple(_look(assets, asset) for asset in dict.fromkeys(names))


def verify_models(assets: LocalAssets, report: Report) -> tuple[Model, ...]:
    """Compute the sha256 of every file in models.lock anew and compare. Raises AssetRefused, Cancelled."""
    entries = read_lock(assets.settings.models_lock)
    return tuple(_verify(assets, name, entry, report) for name, entry in entries.items())


def add_model(
    assets: LocalAssets, name: str, kind: str, place: str, report: Report, patience: Patience | None = None
) -> Entry:
    """Note a file or an address under a name in models.lock; an address is downloaded to learn its sha256.

    Raises AssetError, Cancelled.
    """
    settings = assets.settings
    if wrong := check_named(name, kind):
        raise AssetRefused(f"{name!r} cannot be added to {settings.models_lock}: {wrong}")
    if is_address(place):
        if carries_secret(place):
            raise AssetRefused("The address has a key or a password in it, which does not belong into models.lock")
        download = _download(assets, name, place, report, patience or Patience())
        entry = Entry(kind=kind, url=place, sha256=download.sha256, size=download.path.stat().st_size)
    else:
        path = expand(place).absolute()
        if not exists(path):
            raise AssetMissing(f"There is no file {path}", hint="Name a file, or an address that begins with https://.")
        found = assets.find(Asset(kind, str(path)))
        if isinstance(found, Fetchable) or found.path is None:
            raise AssetMissing(f"{place} is not a file")
        file = _relative(found.path, settings.models_lock.absolute().parent)
        entry = Entry(kind=kind, file=file, sha256=found.sha256, size=found.path.stat().st_size)
    write_entry(settings.models_lock, name, entry, Folders(settings.cache).guards)
    return entry


def remove_model(assets: LocalAssets, name: str) -> None:
    """Take a name out of models.lock; files stay where they are. Raises AssetMissing, AssetRefused."""
    write_entry(assets.settings.models_lock, name, None, Folders(assets.settings.cache).guards)


def _look(assets: LocalAssets, asset: Asset) -> Model:
    try:
        found = assets.find(asset)
    except AssetMissing as error:
        return Model(asset.kind, asset.name, "missing", error.message)
    except AssetError as error:
        return Model(asset.kind, asset.name, "refused", error.message)
    if isinstance(found, Fetchable):
        return Model(asset.kind, asset.name, "to download", found.how)
    return Model(asset.kind, asset.name, "here", found.how, found.path, found.sha256)


def _verify(assets: LocalAssets, name: str, entry: Entry, report: Report) -> Model:
    try:
        place = place_entry(assets.settings, name, entry)
    except AssetError as error:
        return Model(entry.kind, name, "missing", error.message)
    if isinstance(place, Remote):
        return Model(entry.kind, name, "to download", place.how)
    if place.path is None or not is_regular(place.path):
        return Model(entry.kind, name, "refused", f"{place.how} is not a file", place.path)
    size = place.path.stat().st_size
    sha256 = hash_file(place.path, lambda _read: report(0, size, f"{name} (checking)"))
    state: State = "here" if (sha256, size) == (entry.sha256, entry.size) else "changed"
    return Model(entry.kind, name, state, place.how, place.path, sha256)


def _download(assets: LocalAssets, name: str, address: str, report: Report, patience: Patience) -> Download:
    settings = assets.settings
    suffix = ".pt" if settings.allow_pickle and address.partition("?")[0].lower().endswith(".pt") else ".safetensors"
    source = locked_url(settings, name, address, suffixes=(suffix,))
    folders = Folders(settings.cache)
    downloads = Downloads(Origins(folders.origins), patience)
    with downloads.alone(source, folders.models, report):
        download = downloads.get(source, folders.models, report, by_content=True)
    HashIndex(folders.hashes).note(download.path, download.sha256)
    return download


def _relative(path: Path, folder: Path) -> str:
    """Write a path relative to models.lock where it lies below it, so that both can move together."""
    absolute = path.absolute()
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else absolute.as_posix()
