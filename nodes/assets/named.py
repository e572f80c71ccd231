"""What an explicit name stands for: an entry of models.lock, a file in the cache, or a path."""

import difflib
import os
from contextlib import suppress
from itertools import islice
from pathlib import Path

from engine.assets import Asset
from engine.errors import AssetMissing, AssetRefused
from nodes.assets.addresses import is_address
from nodes.assets.files import exists, expand, is_regular
from nodes.assets.lockfile import Entry, could_be_path, read_lock
from nodes.assets.places import WEIGHTS, Folders, Located, Place, Remote, show_path, suffixes_of
from nodes.assets.settings import Settings
from nodes.assets.sources import locked_url

_LONGEST_NAME = 200
_LONGEST_PATH = 4096
_ALIKE = 0.7
"""Less alike is no misspelling: `nova` is not `nova-nano`."""

_MANY = 1000
"""Files of a folder that are compared with a name that is not there."""


def check_name(asset: Asset, allow_paths: bool) -> None:
    """Refuse texts that name nothing, and, for strangers, everything that could be a path. Raises AssetRefused."""
    name = asset.name
    shown = repr(name[:80])
    if not name.strip() or len(name) > _LONGEST_PATH or not name.isprintable():
        raise AssetRefused(f"{shown} is no name of a {asset.kind}", hint="Write a name in one line.")
    if allow_paths and is_address(name):
        raise AssetRefused(
            f"A {asset.kind} cannot be an address",
            hint="Set CHECKPOINT_URL, or give the address a name in models.lock with `nova-graph models`.",
        )
    if not allow_paths and (could_be_path(name) or name[0] == " " or len(name) > _LONGEST_NAME):
        raise AssetRefused(
            f"{shown} is not a plain name", hint=f"Here every {asset.kind} is given by name, never by path."
        )


def find_named(settings: Settings, asset: Asset) -> Place:
    """Find an asset by name or path; relative paths are looked up in the settings' folders.

    Raises AssetMissing, with what was tried, or AssetRefused.
    """
    check_name(asset, settings.allow_paths)
    if _is_plain(asset.name):
        place = _find_locked(settings, asset) or _find_shelved(settings, asset)
        if place is not None:
            return place
    if settings.allow_paths:
        for path in _candidates(settings, asset.name):
            if exists(path):
                return Located(path, f"path {path}")
    raise _missing(settings, asset)


def place_entry(settings: Settings, name: str, entry: Entry) -> Place:
    """Find what an entry of models.lock stands for. Raises AssetMissing, AssetRefused."""
    how = f"{name} in models.lock"
    path = settings.models_lock.parent / expand(entry.file) if entry.file else None
    if path is not None and exists(path):
        return Located(path, how, entry.sha256, entry.size)
    if not entry.url:
        where = show_path(settings, path) if path is not None else "nowhere"
        raise AssetMissing(f"{how} is not at {where}", hint="Put the file there, or correct the entry.")
    suffix = ".pt" if entry.url.partition("?")[0].lower().endswith(".pt") else ".safetensors"
    folders = Folders(settings.cache)
    kept = folders.models / f"{entry.sha256}{suffix}"
    if exists(kept):
        return Located(kept, how, entry.sha256, entry.size)
    source = locked_url(settings, name, entry.url, sha256=entry.sha256, size=entry.size, suffixes=(suffix,))
    return Remote(source, folders.models, f"{how}: {source.label}", by_content=True)


def _is_plain(name: str) -> bool:
    return "/" not in name and os.sep not in name and name not in (".", "..")


def _find_locked(settings: Settings, asset: Asset) -> Place | None:
    entry = read_lock(settings.models_lock).get(asset.name)
    if entry is None:
        return None
    if entry.kind != asset.kind:
        raise AssetRefused(f"{asset.name} in models.lock is a {entry.kind}, not a {asset.kind}")
    return place_entry(settings, asset.name, entry)


def _find_shelved(settings: Settings, asset: Asset) -> Located | None:
    suffixes = suffixes_of(asset.kind, settings.allow_pickle) if asset.kind in WEIGHTS else ()
    shelf = Folders(settings.cache).shelf(asset.kind)
    for name in (asset.name, *(f"{asset.name}{suffix}" for suffix in suffixes)):
        if is_regular(shelf / name):
            return Located(shelf / name, f"cache: {show_path(settings, shelf / name)}")
    return None


def _candidates(settings: Settings, name: str) -> list[Path]:
    path = expand(name)
    return [path] if path.is_absolute() else [folder / path for folder in settings.folders]


def _missing(settings: Settings, asset: Asset) -> AssetMissing:
    shelf = Folders(settings.cache).shelf(asset.kind)
    tried = []
    if _is_plain(asset.name):
        locked = [f"models.lock ({show_path(settings, settings.models_lock)})"] if asset.kind in WEIGHTS else []
        tried = [*locked, f"the cache ({show_path(settings, shelf)})"]
    if settings.allow_paths:
        tried += [str(path) for path in _candidates(settings, asset.name)]
    known = _known_names(settings, asset.kind)
    close = difflib.get_close_matches(asset.name[:_LONGEST_NAME], known, n=1, cutoff=_ALIKE) or _close_paths(
        settings, asset.name
    )
    hint = f"Did you mean {close[0]!r}?" if close else f"Known names: {', '.join(known[:20])}." if known else ""
    if not close and tried != [asset.name] and _is_plain(asset.name) and settings.allow_paths and asset.kind in WEIGHTS:
        hint = f"{hint} `nova-graph models add NAME PATH --kind {asset.kind}` gives a file a name.".lstrip()
    told = f"; tried {', '.join(tried)}" if tried != [asset.name] else ""
    return AssetMissing(f"There is no {asset.kind} {asset.name[:_LONGEST_NAME]!r}{told}", hint=hint)


def _close_paths(settings: Settings, name: str) -> list[str]:
    """Return the path of the file that is called most alike, of those in the folder where this one would be."""
    for path in _candidates(settings, name) if settings.allow_paths else ():
        with suppress(OSError, ValueError):
            beside = [each.name for each in islice(path.parent.iterdir(), _MANY) if each.is_file()]
            if close := difflib.get_close_matches(path.name[:_LONGEST_NAME], beside, n=1, cutoff=_ALIKE):
                return [str(Path(name).with_name(close[0]))]
    return []


def _known_names(settings: Settings, kind: str) -> list[str]:
    own = {"checkpoint": ["auto", "nova-nano"], "vae": ["auto", "none"], "detector": ["auto"]}.get(kind, [])
    locked = [name for name, entry in read_lock(settings.models_lock).items() if entry.kind == kind]
    shelved = Folders(settings.cache).files(kind, suffixes_of(kind, settings.allow_pickle)) if kind in WEIGHTS else []
    return [*own, *locked, *(path.stem for path in shelved)]
