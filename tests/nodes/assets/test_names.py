"""Names and paths of every kind, and what strangers may not say."""

import os
from dataclasses import replace
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.assets import Asset
from engine.errors import AssetError, AssetMissing, AssetRefused
from nodes.assets import LocalAssets, Settings
from nodes.assets.lockfile import Entry, write_entry
from nodes.assets.named import check_name
from tests.nodes.assets.shop import assets_of, fetchable, found, put

EMBEDDED = (
    "embedded face detector, made for nova-nano's drawings; for others set FACE_DETECTOR_PATH "
    "(docs/checkpoints.md tells how to get one)"
)


def for_strangers(settings: Settings) -> LocalAssets:
    return assets_of(replace(settings, allow_paths=False))


def lock(settings: Settings, name: str, kind: str, file: str = "", url: str = "", sha256: str = "0" * 64) -> None:
    entry = Entry(kind=kind, file=file, url=url, sha256=sha256, size=1)
    write_entry(settings.models_lock, name, entry, settings.cache / "guards")


def test_a_path_is_looked_up_in_the_folders_in_order(settings: Settings, tmp_path: Path) -> None:
    graphs = tmp_path / "graphs"
    both = replace(settings, folders=(*settings.folders, graphs))
    put(graphs / "loras" / "sketch.safetensors")
    assert found(assets_of(both), "lora", "loras/sketch.safetensors").path == graphs / "loras" / "sketch.safetensors"
    put(settings.folders[0] / "loras" / "sketch.safetensors")
    here = found(assets_of(both), "lora", "loras/sketch.safetensors")
    assert here.path == settings.folders[0] / "loras" / "sketch.safetensors"
    assert here.how == f"path {here.path}"


def test_an_absolute_path_is_taken_as_it_is(settings: Settings, tmp_path: Path) -> None:
    path = put(tmp_path / "elsewhere" / "x.safetensors")
    assert found(assets_of(settings), "checkpoint", str(path)).path == path


@pytest.mark.parametrize("name", ["sketch", "sketch.safetensors"])
def test_a_file_in_the_cache_by_name(settings: Settings, name: str) -> None:
    path = put(settings.cache / "lora" / "sketch.safetensors")
    assert found(assets_of(settings), "lora", name).how == f"cache: {path}"


def test_a_missing_name_says_where_it_was_looked_for_and_what_is_close(settings: Settings) -> None:
    put(settings.cache / "lora" / "sketch.safetensors")
    with pytest.raises(AssetMissing) as error:
        assets_of(settings).find(Asset("lora", "sketsh"))
    assert str(error.value) == (
        f"There is no lora 'sketsh'; tried models.lock ({settings.models_lock}), the cache "
        f"({settings.cache / 'lora'}), {settings.folders[0] / 'sketsh'}\n  Did you mean 'sketch'?"
    )


def test_a_name_that_nobody_knows_is_told_with_how_to_give_a_file_a_name(settings: Settings) -> None:
    with pytest.raises(AssetMissing) as error:
        assets_of(settings).find(Asset("upscaler", "4x-sharp"))
    assert error.value.hint == "`nova-graph models add NAME PATH --kind upscaler` gives a file a name."
    with pytest.raises(AssetMissing) as own:
        assets_of(settings).find(Asset("checkpoint", "nova"))
    assert own.value.hint.endswith("`nova-graph models add NAME PATH --kind checkpoint` gives a file a name.")
    with pytest.raises(AssetMissing) as picture:
        assets_of(settings).find(Asset("image", "x.png"))
    assert picture.value.hint == ""


def test_a_path_that_is_not_there_is_told_with_what_is_there(settings: Settings, tmp_path: Path) -> None:
    put(tmp_path / "models" / "nova.safetensors")
    put(settings.folders[0] / "girl.png")
    for kind, name, meant in (
        ("checkpoint", str(tmp_path / "models" / "nvoa.safetensors"), str(tmp_path / "models" / "nova.safetensors")),
        ("image", "gril.png", "girl.png"),
    ):
        with pytest.raises(AssetMissing) as error:
            assets_of(settings).find(Asset(kind, name))
        assert error.value.hint == f"Did you mean {meant!r}?"
        assert ("models.lock" in error.value.message) is False


def test_strangers_are_not_told_which_files_there_are(settings: Settings) -> None:
    put(settings.folders[0] / "girl.png")
    with pytest.raises(AssetMissing) as error:
        assets_of(replace(settings, allow_paths=False)).find(Asset("image", "gril.png"))
    assert error.value.hint == ""


def test_a_missing_path_is_told_once(settings: Settings, tmp_path: Path) -> None:
    path = str(tmp_path / "sketch.safetensors")
    with pytest.raises(AssetMissing) as error:
        assets_of(settings).find(Asset("lora", path))
    assert str(error.value) == f"There is no lora {path!r}"


def test_a_name_in_models_lock_wins_over_a_file(settings: Settings) -> None:
    put(settings.cache / "lora" / "sketch.safetensors")
    lock(settings, "sketch", "lora", url="https://models.example/sketch.safetensors")
    assert fetchable(assets_of(settings), "lora", "sketch").how == (
        "sketch in models.lock: https://models.example/sketch.safetensors"
    )


def test_a_name_of_another_kind_is_refused(settings: Settings) -> None:
    lock(settings, "sketch", "lora", file="sketch.safetensors")
    with pytest.raises(AssetRefused, match=r"sketch in models.lock is a lora, not a checkpoint"):
        assets_of(settings).find(Asset("checkpoint", "sketch"))


def test_a_locked_file_that_is_another_one_is_refused(settings: Settings) -> None:
    put(settings.folders[0] / "sketch.safetensors")
    lock(settings, "sketch", "lora", file="sketch.safetensors")
    with pytest.raises(AssetRefused, match=r"is not the file that models.lock notes for sketch"):
        assets_of(settings).find(Asset("lora", "sketch"))


def test_a_locked_file_that_is_nowhere_is_missing(settings: Settings) -> None:
    lock(settings, "sketch", "lora", file="sketch.safetensors")
    with pytest.raises(AssetMissing, match=r"sketch in models.lock is not at .*sketch\.safetensors"):
        assets_of(settings).find(Asset("lora", "sketch"))


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\nb", "x" * 5000, "https://host/x.safetensors", "file:///etc/x"])
def test_texts_that_name_nothing_are_refused(settings: Settings, name: str) -> None:
    for kind in ("checkpoint", "image"):
        with pytest.raises(AssetRefused):
            assets_of(settings).find(Asset(kind, name))


@pytest.mark.parametrize("name", ["n" * 300, "名" * 200, "~nobody-of-this-name/x", "a/" * 1000, "x.safetensors/y"])
@pytest.mark.parametrize("kind", ["checkpoint", "image"])
def test_names_that_no_file_can_have_are_missing(settings: Settings, kind: str, name: str) -> None:
    put(settings.folders[0] / "x.safetensors")
    with pytest.raises(AssetMissing):
        assets_of(settings).find(Asset(kind, name))


def test_a_long_name_of_a_stranger_is_missing(settings: Settings) -> None:
    with pytest.raises(AssetMissing):
        for_strangers(settings).find(Asset("image", "名" * 200))


FORBIDDEN = [
    "/etc/passwd",
    "../secret.png",
    "..",
    ".",
    "a..b",
    "folder/picture.png",
    "folder\\picture.png",
    "C:picture.png",
    "~/picture.png",
    "~",
    ".hidden",
    "https://host/x.png",
    "file:x",
    "a\0.png",
    "a\n.png",
    " picture.png",
    "",
    "x" * 201,
]


@pytest.mark.parametrize(
    "kind", ["checkpoint", "vae", "detector", "lora", "embedding", "controlnet", "upscaler", "image"]
)
@pytest.mark.parametrize("name", FORBIDDEN)
def test_strangers_cannot_say_paths(settings: Settings, kind: str, name: str) -> None:
    put(settings.folders[0] / "secret.png")
    with pytest.raises(AssetRefused):
        for_strangers(settings).find(Asset(kind, name))


def test_strangers_can_say_names_that_are_known_here(settings: Settings) -> None:
    put(settings.cache / "lora" / "sketch.safetensors")
    put(settings.cache / "controlnet" / "lines.safetensors")
    put(settings.cache / "image" / "pose.png", b"picture")
    open_shop = for_strangers(settings)
    assert found(open_shop, "lora", "sketch").how == "cache: sketch.safetensors"
    assert found(open_shop, "controlnet", "lines").how == "cache: lines.safetensors"
    assert found(open_shop, "image", "pose.png").path == settings.cache / "image" / "pose.png"
    assert found(open_shop, "checkpoint", "auto").how.startswith("embedded nova-nano")
    assert found(open_shop, "vae", "none").path is None
    assert found(open_shop, "lora", "none").path is None
    assert found(open_shop, "controlnet", "none").path is None


def test_strangers_do_not_reach_the_working_directory(settings: Settings) -> None:
    put(settings.folders[0] / "private.safetensors")
    with pytest.raises(AssetMissing):
        for_strangers(settings).find(Asset("checkpoint", "private.safetensors"))


def test_strangers_see_no_folder_of_this_machine(settings: Settings, tmp_path: Path) -> None:
    put(settings.cache / "checkpoint" / "a.safetensors")
    put(settings.cache / "checkpoint" / "b.safetensors")
    broken = replace(settings, checkpoint_path="gone.safetensors", allow_paths=False)
    for configured in (broken, replace(settings, allow_paths=False)):
        for name in ("auto", "nothing"):
            with pytest.raises(AssetError) as error:
                assets_of(configured).find(Asset("checkpoint", name))
            assert str(tmp_path) not in str(error.value)


@given(name=st.text(st.sampled_from("ab.~/\\: \0\n"), max_size=8) | st.text(max_size=220))
def test_a_name_that_strangers_may_say_stays_in_its_folder(name: str) -> None:
    try:
        check_name(Asset("image", name), allow_paths=False)
    except AssetRefused:
        return
    assert os.path.normpath(f"/shelf/{name}") == f"/shelf/{name}"
    assert PureWindowsPath("C:/shelf", name).parent == PureWindowsPath("C:/shelf")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(settings: Settings) -> None:
    os.mkfifo(settings.folders[0] / "pipe.png")
    with pytest.raises(AssetRefused, match=r"is not a file"):
        assets_of(settings).find(Asset("image", "pipe.png"))


def test_a_picture_may_not_be_endless(settings: Settings) -> None:
    path = put(settings.folders[0] / "huge.png", b"")
    with path.open("r+b") as file:
        file.truncate((256 << 20) + 1)
    with pytest.raises(AssetRefused, match=r"bigger than"):
        assets_of(settings).find(Asset("image", "huge.png"))


def test_vae_auto_is_the_fixed_one_where_there_is_one(settings: Settings) -> None:
    assets = assets_of(settings)
    assert found(assets, "vae", "auto").path is None
    put(settings.cache / "vae" / "other.safetensors")
    assert found(assets, "vae", "auto").path is None
    path = put(settings.cache / "vae" / "sdxl_vae-FP16-fix.safetensors")
    assert found(assets, "vae", "auto").path == path
    assert found(assets, "vae", "other").path == settings.cache / "vae" / "other.safetensors"
    assert found(assets, "vae", "none") == replace(
        found(assets, "vae", "none"), path=None, sha256="", how="the checkpoint's own VAE"
    )
    put(settings.cache / "vae" / "sdxl.vae.fp16fix.safetensors")
    with pytest.raises(AssetRefused, match=r"Several fp16-fix VAEs"):
        assets.find(Asset("vae", "auto"))


def test_vae_auto_takes_the_name_in_models_lock(settings: Settings) -> None:
    lock(settings, "sdxl-vae-fp16-fix", "vae", url="https://models.example/vae.safetensors")
    assert fetchable(assets_of(settings), "vae", "auto").how.startswith("sdxl-vae-fp16-fix in models.lock")


def test_detector_auto_prefers_what_the_user_put_there(settings: Settings) -> None:
    assets = assets_of(settings)
    assert found(assets, "detector", "auto").how == EMBEDDED
    cached = put(settings.cache / "detector" / "face_yolov9c.safetensors")
    assert found(assets, "detector", "auto").path == cached
    mine = put(settings.folders[0] / "mine.safetensors")
    assert found(assets_of(replace(settings, face_detector_path=str(mine))), "detector", "auto").path == mine


def test_pickled_detectors_need_permission(settings: Settings) -> None:
    import zipfile

    pickled = settings.cache / "detector" / "face_yolov9c.pt"
    pickled.parent.mkdir(parents=True)
    with zipfile.ZipFile(pickled, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    careful, trusting = assets_of(settings), assets_of(replace(settings, allow_pickle=True))
    assert found(careful, "detector", "auto").how == (
        f"{EMBEDDED}; face_yolov9c.pt is in the cache, but is a pickle and NOVA_ALLOW_PICKLE is not set"
    )
    assert found(trusting, "detector", "auto").path == pickled
    assert found(trusting, "detector", "face_yolov9c").path == pickled
    with pytest.raises(AssetRefused, match=r"NOVA_ALLOW_PICKLE=1"):
        careful.find(Asset("detector", str(pickled)))
    with pytest.raises(AssetRefused, match=r"pickle"):
        trusting.find(Asset("checkpoint", str(pickled)))


def test_upscalers_are_never_pickles(settings: Settings) -> None:
    trusting = assets_of(replace(settings, allow_pickle=True))
    path = put(settings.cache / "upscaler" / "4x-AnimeSharp.safetensors")
    assert found(trusting, "upscaler", "4x-AnimeSharp").path == path
    pickled = put(settings.cache / "upscaler" / "4x-AnimeSharp.pth", b"PK\x03\x04")
    for name in (pickled.name, str(pickled)):
        with pytest.raises(AssetRefused, match="is a pickle") as caught:
            trusting.find(Asset("upscaler", name))
        assert "docs/checkpoints.md tells how" in caught.value.hint


def test_kinds_of_other_peoples_nodes_are_plain_files(settings: Settings) -> None:
    path = put(settings.folders[0] / "words.txt", b"cat\n")
    assert found(assets_of(settings), "wordlist", "words.txt").path == path
    with pytest.raises(AssetRefused):
        assets_of(settings).find(Asset("../checkpoint", "words.txt"))
