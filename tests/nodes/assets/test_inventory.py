"""Adding to models.lock, listing what is there, and verifying it."""

import hashlib
from pathlib import Path

import pytest

from engine.assets import Asset
from engine.errors import AssetMissing, AssetRefused
from nodes.assets import Settings
from nodes.assets.inventory import add_model, list_models, remove_model, verify_models
from nodes.assets.lockfile import Entry, read_lock
from tests.nodes.assets.server import serving, status, whole
from tests.nodes.assets.shop import IMPATIENT, assets_of, fetchable, found, ignore, put, visible_files, weights

DATA = weights(b"sketches", pad=1000)


def test_a_file_is_added_found_and_verified(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(settings.folders[0])
    put(settings.folders[0] / "loras" / "sketch.safetensors", DATA)
    assets = assets_of(settings)
    entry = add_model(assets, "sketch", "lora", "loras/sketch.safetensors", ignore)
    digest = hashlib.sha256(DATA).hexdigest()
    assert entry == Entry(kind="lora", file="loras/sketch.safetensors", sha256=digest, size=len(DATA))
    assert dict(read_lock(settings.models_lock)) == {"sketch": entry}
    assert found(assets, "lora", "sketch").how == "sketch in models.lock"
    assert [model.state for model in verify_models(assets, ignore)] == ["here"]
    put(settings.folders[0] / "loras" / "sketch.safetensors", weights(b"other"))
    assert [model.state for model in verify_models(assets, ignore)] == ["changed"]
    remove_model(assets, "sketch")
    assert verify_models(assets, ignore) == ()


def test_a_file_elsewhere_is_noted_by_its_whole_path(settings: Settings, tmp_path: Path) -> None:
    path = put(tmp_path / "elsewhere.safetensors")
    assert add_model(assets_of(settings), "else", "vae", str(path), ignore).file == path.as_posix()


@pytest.mark.parametrize(("name", "kind", "why"), [("ink", "Lora", "kind must be"), ("a/b", "lora", "a name begins")])
def test_a_name_or_kind_is_refused_before_the_file_is_looked_at(
    settings: Settings, name: str, kind: str, why: str
) -> None:
    with pytest.raises(AssetRefused, match=why):
        add_model(assets_of(settings), name, kind, "gone.safetensors", ignore)


def test_an_address_is_added_with_what_came_from_it(settings: Settings) -> None:
    assets = assets_of(settings)
    with serving(whole(DATA)) as server:
        entry = add_model(assets, "sketch", "lora", server.address(), ignore, IMPATIENT)
        assert entry.url == server.address()
        kept = found(assets, "lora", "sketch")
        assert kept.path == settings.cache / "models" / f"{entry.sha256}.safetensors"
        kept.path.unlink()
        assert fetchable(assets, "lora", "sketch").how == f"sketch in models.lock: {server.address()}"
        assert assets.fetch(Asset("lora", "sketch"), ignore).sha256 == entry.sha256
    assert len(server.paths) == 2
    assert visible_files(settings.cache / "lora") == []


def test_another_file_behind_a_locked_address_is_refused(settings: Settings) -> None:
    assets = assets_of(settings)
    with serving(whole(DATA)) as server:
        entry = add_model(assets, "sketch", "lora", server.address(), ignore, IMPATIENT)
        (settings.cache / "models" / f"{entry.sha256}.safetensors").unlink()
        server.behaviours = [whole(weights(b"SKETCHES", pad=1000))]
        with pytest.raises(Exception, match=r"what came has the sha256"):
            assets.fetch(Asset("lora", "sketch"), ignore)
        server.behaviours = [whole(weights(b"longer", pad=2000))]
        with pytest.raises(Exception, match=r"is another file than expected"):
            assets.fetch(Asset("lora", "sketch"), ignore)
    assert visible_files(settings.cache / "models") == []


def test_what_cannot_be_had_is_not_added(settings: Settings) -> None:
    assets = assets_of(settings)
    with serving(status(404)) as server, pytest.raises(Exception, match=r"is not there"):
        add_model(assets, "sketch", "lora", server.address(), ignore, IMPATIENT)
    with pytest.raises(AssetRefused, match=r"does not belong into models.lock"):
        add_model(assets, "sketch", "lora", "https://x/y.safetensors?token=secret", ignore)
    with pytest.raises(AssetMissing):
        add_model(assets, "sketch", "lora", "nowhere.safetensors", ignore)
    assert not settings.models_lock.exists()


def test_the_list_shows_everything_that_can_be_named(settings: Settings) -> None:
    assets = assets_of(settings)
    put(settings.cache / "lora" / "sketch.safetensors")
    put(settings.cache / "lora" / "broken.safetensors", b"")
    with serving(whole(DATA)) as server:
        entry = add_model(assets, "ink", "lora", server.address(), ignore, IMPATIENT)
    (settings.cache / "models" / f"{entry.sha256}.safetensors").unlink()
    listed = {(model.kind, model.name): model.state for model in list_models(assets)}
    assert listed == {
        ("checkpoint", "auto"): "here",
        ("checkpoint", "nova-nano"): "here",
        ("vae", "auto"): "here",
        ("detector", "auto"): "here",
        ("lora", "ink"): "to download",
        ("lora", "sketch"): "here",
        ("lora", "broken"): "refused",
    }
