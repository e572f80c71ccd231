"""Assets for a picture that is made again: by the content that its record names, whatever the files are called here."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from engine.assets import Asset, Assets, Fetchable, Found, Report
from engine.errors import AssetMissing
from engine.values import Json

ByContent = Callable[[str, str], Path | None]
"""Given a kind and a sha256, returns a file with that content, or None."""


class RecordedAssets:
    """Looks a name up as ever; where that gives another content than the record names, any file with that content."""

    def __init__(self, assets: Assets, recorded: Iterable[dict[str, Json]], by_content: ByContent) -> None:
        """Wrap the assets of this machine; `recorded` are those of a picture's record."""
        self._assets = assets
        self._wanted = {
            Asset(str(item.get("kind", "")), str(item.get("name", ""))): str(item.get("sha256", ""))
            for item in recorded
        }
        self._by_content = by_content

    def find(self, asset: Asset) -> Found | Fetchable:
        """Look an asset up; raises AssetError."""
        wanted = self._wanted.get(asset, "")
        try:
            found = self._assets.find(asset)
        except AssetMissing:
            same = self._same_content(asset, wanted)
            if same is None:
                raise
            return same
        if not wanted or (isinstance(found, Found) and found.sha256 == wanted):
            return found
        return self._same_content(asset, wanted) or found

    def fetch(self, asset: Asset, report: Report) -> Found:
        """Download an asset; raises AssetError."""
        return self._assets.fetch(asset, report)

    def _same_content(self, asset: Asset, sha256: str) -> Found | None:
        path = self._by_content(asset.kind, sha256) if sha256 else None
        found = self._assets.find(Asset(asset.kind, str(path))) if path is not None else None
        return replace(found, asset=asset) if isinstance(found, Found) else None
