"""What `checkpoint: auto` stands for, step by step."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from engine.assets import Fetchable, Found
from engine.errors import AssetMissing, AssetRefused
from nodes.assets import Settings, read_settings
from tests.nodes.assets.server import serving, whole
from tests.nodes.assets.shop import AUTO, assets_of, fetchable, found, ignore, put, weights

STEPS = ("baked", "path", "cache", "url", "hub", "embedded")


def prepare(settings: Settings, *steps: str) -> Settings:
    """Make the given steps apply."""
    if "baked" in steps:
        put(settings.baked)
    if "cache" in steps:
        put(settings.cache / "checkpoint" / "cached.safetensors")
    path = str(put(settings.folders[0] / "mine.safetensors")) if "path" in steps else ""
    url = "https://models.example/anime.safetensors?X-Amz-Signature=hidden" if "url" in steps else ""
    hub = ("me/anime", "anime.safetensors") if "hub" in steps else ("", "")
    return replace(settings, checkpoint_path=path, checkpoint_url=SecretStr(url), hf_id=hub[0], hf_filename=hub[1])


@pytest.mark.parametrize("first", range(len(STEPS)))
def test_the_first_step_that_applies_decides(settings: Settings, first: int) -> None:
    result = assets_of(prepare(settings, *STEPS[first:])).find(AUTO)
    expected = {
        "baked": f"baked into the image: {settings.baked}",
        "path": f"CHECKPOINT_PATH: {settings.folders[0] / 'mine.safetensors'}",
        "cache": f"cache: {settings.cache / 'checkpoint' / 'cached.safetensors'}; "
        "https://models.example/anime.safetensors is set too, but the cache comes first: "
        "remove the file to get that one",
        "url": "CHECKPOINT_URL: https://models.example/anime.safetensors",
        "hub": "Hugging Face (NOVA_ANIME_HF_ID): https://huggingface.co/me/anime/resolve/main/anime.safetensors",
        "embedded": "embedded nova-nano, a tiny model to try things with, because no checkpoint is set "
        "(docs/checkpoints.md tells how to get one)",
    }
    assert result.how == expected[STEPS[first]]
    assert isinstance(result, Fetchable if STEPS[first] in ("url", "hub") else Found)


@pytest.mark.parametrize("only", STEPS[:-1])
def test_any_real_checkpoint_satisfies_require(settings: Settings, only: str) -> None:
    required = replace(prepare(settings, only), require_checkpoint=True)
    assert "embedded" not in assets_of(required).find(AUTO).how


def test_require_lists_what_was_tried_and_why_it_did_not_apply(settings: Settings) -> None:
    with pytest.raises(AssetMissing) as error:
        assets_of(replace(settings, require_checkpoint=True)).find(AUTO)
    assert str(error.value) == (
        "No checkpoint was found; tried in this order:\n"
        f"  1. baked into the image: {settings.baked} is not there\n"
        "  2. CHECKPOINT_PATH: not set\n"
        f"  3. cache: no .safetensors file in {settings.cache / 'checkpoint'}\n"
        "  4. CHECKPOINT_URL: not set\n"
        "  5. Hugging Face: NOVA_ANIME_HF_ID and NOVA_ANIME_HF_FILENAME are not set\n"
        "  6. embedded nova-nano: not allowed, because NOVA_REQUIRE_CHECKPOINT is set\n"
        "  Set one of them: docs/checkpoints.md tells how to get one."
    )


def test_several_checkpoints_in_the_cache_are_an_error_that_lists_them(settings: Settings) -> None:
    put(settings.cache / "checkpoint" / "b.safetensors")
    put(settings.cache / "checkpoint" / "a.safetensors")
    put(settings.cache / "checkpoint" / ".hidden.safetensors")
    put(settings.cache / "checkpoint" / "notes.txt", b"")
    with pytest.raises(AssetRefused) as error:
        assets_of(settings).find(AUTO)
    assert "a.safetensors, b.safetensors\n" in str(error.value)
    assert "checkpoint: a" in error.value.hint
    assert found(assets_of(settings), "checkpoint", "b").path == settings.cache / "checkpoint" / "b.safetensors"


def test_what_is_set_must_be_there(settings: Settings) -> None:
    with pytest.raises(AssetMissing, match=r"CHECKPOINT_PATH names .*nowhere\.safetensors, which is not there"):
        assets_of(replace(settings, checkpoint_path="nowhere.safetensors")).find(AUTO)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint_url": SecretStr("s3://bucket/a.safetensors?sig=hidden")}, "CHECKPOINT_URL is not an address"),
        ({"checkpoint_url": SecretStr("anime.safetensors")}, "CHECKPOINT_URL is not an address"),
        ({"checkpoint_url": SecretStr("https://host:port/x")}, "CHECKPOINT_URL is not an address"),
        ({"checkpoint_url": SecretStr("https://host/a b")}, "has spaces or control characters"),
        ({"hf_id": "me/anime"}, "Only NOVA_ANIME_HF_ID is set"),
        ({"hf_filename": "a.safetensors"}, "Only NOVA_ANIME_HF_FILENAME is set"),
        ({"hf_id": "../anime", "hf_filename": "a.safetensors"}, "NOVA_ANIME_HF_ID is no repository"),
        ({"hf_id": "me/anime", "hf_filename": "../a.safetensors"}, "NOVA_ANIME_HF_FILENAME is no .safetensors"),
        ({"hf_id": "me/anime", "hf_filename": "a.ckpt"}, "NOVA_ANIME_HF_FILENAME is no .safetensors"),
        ({"hf_id": "me/a", "hf_filename": "a.safetensors", "hf_endpoint": "ftp://x"}, "HF_ENDPOINT is not an address"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: Settings, changes: dict[str, str], message: str) -> None:
    with pytest.raises(AssetRefused) as error:
        assets_of(replace(settings, **changes)).find(AUTO)  # type: ignore[arg-type]
    assert message in str(error.value)
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("model.ckpt", b"PK\x03\x04", "is a pickle, and a pickle can run any program"),
        ("model.txt", b"", "is no checkpoint"),
        ("model.safetensors", b"", "it is empty"),
        ("model.safetensors", b"<html>" + bytes(50), "it looks like a web page"),
        ("model.safetensors", weights(pad=100)[:-1], "is cut off"),
        ("model.safetensors", b"\x02\0\0\0\0\0\0\0[]", "is not a JSON object"),
    ],
)
def test_a_file_that_is_no_whole_checkpoint_is_refused(
    settings: Settings, name: str, data: bytes, message: str
) -> None:
    path = put(settings.folders[0] / name, data)
    with pytest.raises(AssetRefused) as error:
        assets_of(replace(settings, checkpoint_path=str(path))).find(AUTO)
    assert message in str(error.value)


def test_a_folder_is_no_checkpoint(settings: Settings) -> None:
    with pytest.raises(AssetRefused, match=r"is not a file"):
        assets_of(replace(settings, checkpoint_path=str(settings.folders[0]))).find(AUTO)


def test_finding_never_downloads(settings: Settings) -> None:
    with serving(whole(weights())) as server:
        configured = replace(settings, checkpoint_url=SecretStr(server.address()))
        fetchable(assets_of(configured), "checkpoint", "auto")
        assert server.paths == []
        assert not settings.cache.exists()


def test_nova_nano_by_name_whatever_else_is_set(settings: Settings) -> None:
    configured = replace(prepare(settings, *STEPS), require_checkpoint=True)
    result = found(assets_of(configured), "checkpoint", "nova-nano")
    assert result.path == settings.embedded / "nova-nano.safetensors"
    assert result.how == "embedded nova-nano"


def test_a_missing_embedded_model_is_explained(settings: Settings) -> None:
    (settings.embedded / "nova-nano.safetensors").unlink()
    with pytest.raises(AssetMissing, match=r"not in this installation"):
        assets_of(settings).find(AUTO)


def test_the_embedded_models_are_in_the_package(settings: Settings) -> None:
    packaged = assets_of(replace(settings, embedded=read_settings({}).embedded))
    for kind in ("checkpoint", "detector"):
        result = found(packaged, kind, "auto")
        assert result.path is not None
        assert result.how.startswith("embedded")


def test_fetch_of_what_is_here_downloads_nothing(settings: Settings) -> None:
    result = assets_of(settings).fetch(AUTO, ignore)
    assert result == found(assets_of(settings), "checkpoint", "auto")
