"""What `auto` stands for: for a checkpoint, a VAE and a detector."""

from contextlib import suppress
from pathlib import Path

from engine.errors import AssetMissing, AssetRefused
from nodes.assets.files import exists, expand, is_regular
from nodes.assets.lockfile import read_lock
from nodes.assets.named import place_entry
from nodes.assets.places import Folders, Located, Place, Remote, show_path, suffixes_of
from nodes.assets.settings import Settings
from nodes.assets.sources import Source, checkpoint_url, hugging_face

FIXED_VAE = "sdxl-vae-fp16-fix"
"""The name in models.lock of the VAE that stays finite in half precision."""

_NANO_CHECKPOINT = "nova-nano.safetensors"
_NANO_DETECTOR = "face.safetensors"
_DETECTOR = "face_yolov9c"
_LISTED = 10
_GUIDE = "docs/checkpoints.md tells how to get one"


def find_checkpoint(settings: Settings) -> Place:
    """Go through the six steps; the first that is set or has a file decides. Raises AssetMissing, AssetRefused.

    1. a file baked into the image, 2. `CHECKPOINT_PATH`, 3. the cache, 4. `CHECKPOINT_URL`, 5. Hugging Face,
    6. the embedded nova-nano. What is set must work: a wrong setting is an error, not a step to be skipped.
    """
    folder = Folders(settings.cache).shelf("checkpoint")
    if exists(settings.baked):
        return Located(settings.baked, f"baked into the image: {show_path(settings, settings.baked)}")
    if settings.checkpoint_path:
        path = _set_path(settings, "CHECKPOINT_PATH", settings.checkpoint_path)
        return Located(path, f"CHECKPOINT_PATH: {show_path(settings, path)}")
    cached = _only_one(settings, Folders(settings.cache).files("checkpoint", (".safetensors",)))
    if cached is not None:
        return Located(cached, f"cache: {show_path(settings, cached)}", unused=_unused_source(settings))
    source = _checkpoint_source(settings)
    if source is not None:
        by_url = bool(settings.checkpoint_url.get_secret_value())
        setting = "CHECKPOINT_URL" if by_url else "Hugging Face (NOVA_ANIME_HF_ID)"
        return Remote(source, folder, f"{setting}: {source.label}")
    if settings.require_checkpoint:
        raise _nothing_found(settings, folder)
    return Located(
        _embedded(settings, _NANO_CHECKPOINT),
        f"embedded nova-nano, a tiny model to try things with, because no checkpoint is set ({_GUIDE})",
    )


def find_nano(settings: Settings) -> Located:
    """Find the embedded checkpoint. Raises AssetMissing."""
    return Located(_embedded(settings, _NANO_CHECKPOINT), "embedded nova-nano")


def find_vae(settings: Settings) -> Place:
    """Find the VAE that stays finite in half precision; without one, nothing: the checkpoint's own is used.

    Looked for in the cache (a file whose name says fp16-fix) and in models.lock. Raises AssetRefused.
    """
    fixed = [path for path in Folders(settings.cache).files("vae", (".safetensors",)) if is_fixed_vae(path.name)]
    if len(fixed) > 1:
        raise AssetRefused(
            f"Several fp16-fix VAEs are in the cache: {_list(fixed)}", hint="Name one of them, or keep only one."
        )
    if fixed:
        return Located(fixed[0], f"cache: {show_path(settings, fixed[0])}")
    entry = read_lock(settings.models_lock).get(FIXED_VAE)
    if entry is not None and entry.kind == "vae":
        return place_entry(settings, FIXED_VAE, entry)
    return Located(None, "the checkpoint's own VAE, because no fp16-fix VAE is there")


def is_fixed_vae(name: str) -> bool:
    """Tell from the name of a file or entry whether it is the VAE that stays finite in half precision."""
    letters = "".join(letter for letter in name.lower() if letter.isalnum())
    return "fp16fix" in letters or "fixfp16" in letters


def find_detector(settings: Settings) -> Located:
    """Find the face detector: `FACE_DETECTOR_PATH`, the cache's face_yolov9c, or the embedded one.

    Raises AssetMissing.
    """
    if settings.face_detector_path:
        path = _set_path(settings, "FACE_DETECTOR_PATH", settings.face_detector_path)
        return Located(path, f"FACE_DETECTOR_PATH: {show_path(settings, path)}")
    shelf = Folders(settings.cache).shelf("detector")
    for suffix in suffixes_of("detector", settings.allow_pickle):
        path = shelf / f"{_DETECTOR}{suffix}"
        if is_regular(path):
            return Located(path, f"cache: {show_path(settings, path)}")
    pickled = shelf / f"{_DETECTOR}.pt"
    how = f"embedded face detector, made for nova-nano's drawings; for others set FACE_DETECTOR_PATH ({_GUIDE})"
    if is_regular(pickled):
        how += f"; {pickled.name} is in the cache, but is a pickle and NOVA_ALLOW_PICKLE is not set"
    return Located(_embedded(settings, _NANO_DETECTOR), how)


def _set_path(settings: Settings, setting: str, text: str) -> Path:
    """Return the file that a setting names; relative to the first of the folders."""
    path = expand(text)
    if not path.is_absolute() and settings.folders:
        path = settings.folders[0] / path
    if not exists(path):
        shown = show_path(settings, path)
        raise AssetMissing(f"{setting} names {shown}, which is not there", hint="Correct or unset it.")
    return path


def _only_one(settings: Settings, paths: list[Path]) -> Path | None:
    if len(paths) > 1:
        raise AssetRefused(
            f"Several checkpoints are in the cache ({show_path(settings, paths[0].parent)}): {_list(paths)}",
            hint=f"Name one of them (checkpoint: {paths[0].stem}), set CHECKPOINT_PATH, or keep only one there.",
        )
    return paths[0] if paths else None


def _checkpoint_source(settings: Settings) -> Source | None:
    if settings.checkpoint_url.get_secret_value():
        return checkpoint_url(settings)
    if not settings.hf_id and not settings.hf_filename:
        return None
    if not settings.hf_id or not settings.hf_filename:
        set_one = "NOVA_ANIME_HF_ID" if settings.hf_id else "NOVA_ANIME_HF_FILENAME"
        raise AssetRefused(f"Only {set_one} is set", hint="Set both NOVA_ANIME_HF_ID and NOVA_ANIME_HF_FILENAME.")
    return hugging_face(settings)


def _unused_source(settings: Settings) -> Source | None:
    with suppress(AssetRefused):  # it is not needed, so it need not be right
        return _checkpoint_source(settings)
    return None


def _embedded(settings: Settings, name: str) -> Path:
    path = settings.embedded / name
    if not is_regular(path):
        raise AssetMissing(f"The embedded {name} is not in this installation", hint="Install nova-graph again.")
    return path


def _nothing_found(settings: Settings, folder: Path) -> AssetMissing:
    tried = (
        f"baked into the image: {show_path(settings, settings.baked)} is not there",
        "CHECKPOINT_PATH: not set",
        f"cache: no .safetensors file in {show_path(settings, folder)}",
        "CHECKPOINT_URL: not set",
        "Hugging Face: NOVA_ANIME_HF_ID and NOVA_ANIME_HF_FILENAME are not set",
        "embedded nova-nano: not allowed, because NOVA_REQUIRE_CHECKPOINT is set",
    )
    steps = "\n".join(f"  {number}. {step}" for number, step in enumerate(tried, start=1))
    return AssetMissing(f"No checkpoint was found; tried in this order:\n{steps}", hint=f"Set one of them: {_GUIDE}.")


def _list(paths: list[Path]) -> str:
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return ", ".join(path.name for path in paths[:_LISTED]) + more
