"""Finding what a picture was made with, whatever it is called here."""

from pathlib import Path

import pytest

from engine.assets import Asset, Fetchable, Found, Report
from engine.errors import AssetMissing
from nova_graph.cli.recorded import RecordedAssets

HERE = {"auto": "a" * 64, "/models/renamed.safetensors": "b" * 64}


class Shelf:
    """Assets by name."""

    def find(self, asset: Asset) -> Found | Fetchable:
        if asset.name not in HERE:
            raise AssetMissing(f"there is no {asset.name}")
        return Found(asset, Path(asset.name), HERE[asset.name])

    def fetch(self, asset: Asset, report: Report) -> Found:
        raise AssetMissing("nothing is fetched here")


def by_content(kind: str, sha256: str) -> Path | None:
    return next((Path(name) for name, content in HERE.items() if (kind, content) == ("checkpoint", sha256)), None)


def recorded(name: str, sha256: str) -> RecordedAssets:
    return RecordedAssets(Shelf(), [{"kind": "checkpoint", "name": name, "sha256": sha256}], by_content)


def test_the_same_content_under_the_same_name_is_taken() -> None:
    assert recorded("auto", "a" * 64).find(Asset("checkpoint", "auto")) == Found(
        Asset("checkpoint", "auto"), Path("auto"), "a" * 64
    )


@pytest.mark.parametrize("name", ["auto", "nova.safetensors"])
def test_the_same_content_under_another_name_is_found(name: str) -> None:
    found = recorded(name, "b" * 64).find(Asset("checkpoint", name))
    assert isinstance(found, Found)
    assert (found.asset.name, found.path, found.sha256) == (name, Path("/models/renamed.safetensors"), "b" * 64)


def test_other_content_is_better_than_none_and_said_later() -> None:
    found = recorded("auto", "c" * 64).find(Asset("checkpoint", "auto"))
    assert isinstance(found, Found)
    assert found.sha256 == "a" * 64


def test_what_is_nowhere_is_missing() -> None:
    with pytest.raises(AssetMissing, match="there is no gone"):
        recorded("gone", "c" * 64).find(Asset("checkpoint", "gone"))
    with pytest.raises(AssetMissing):
        recorded("auto", "a" * 64).find(Asset("vae", "gone"))
