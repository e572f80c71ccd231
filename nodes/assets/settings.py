"""What the user set, read from the environment variables once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from engine.errors import SettingError
from nodes.assets.files import expand

_NO_SECRET = SecretStr("")
_EMBEDDED = Path(__file__).resolve().parent.parent / "sdxl" / "nano"
_COUNT = re.compile(r"[1-9][0-9]{0,3}")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything outside the graph that decides which weights and pictures a name stands for.

    `folders` are where relative paths are looked up, in order. Empty text means "not set".
    """

    cache: Path
    models_lock: Path
    folders: tuple[Path, ...] = ()
    allow_paths: bool = True
    """False for graphs from strangers: only names, never paths."""
    baked: Path = Path("/local/model.safetensors")
    embedded: Path = _EMBEDDED
    checkpoint_path: str = ""
    checkpoint_url: SecretStr = _NO_SECRET
    """A secret, because signed addresses carry their key in the query."""
    civitai_key: SecretStr = _NO_SECRET
    civitai_hosts: tuple[str, ...] = ("civitai.com",)
    """The key goes to these hosts and their subdomains only."""
    hf_id: str = ""
    hf_filename: str = ""
    hf_revision: str = "main"
    hf_endpoint: str = "https://huggingface.co"
    hf_token: SecretStr = _NO_SECRET
    require_checkpoint: bool = False
    face_detector_path: str = ""
    allow_pickle: bool = False
    device: str = ""
    dtype: str = ""
    threads: int = 0
    """0 lets the machine decide."""
    cpu_capability: str = ""
    """What ATEN_CPU_CAPABILITY asks of torch."""


def read_settings(
    environ: Mapping[str, str] | None = None,
    *,
    folders: tuple[Path, ...] | None = None,
    allow_paths: bool = True,
) -> Settings:
    """Read the settings from environment variables; without `environ`, from those of this process.

    `folders` defaults to the working directory; `models.lock` lies in its first. Raises SettingError.
    """
    values = os.environ if environ is None else environ
    places = (Path.cwd(),) if folders is None else folders
    lock = values.get("NOVA_MODELS_LOCK", "")
    return Settings(
        cache=_cache(values.get("NOVA_CACHE_DIR", "")),
        models_lock=Path(lock) if lock else (places[0] if places else Path.cwd()) / "models.lock",
        folders=places,
        allow_paths=allow_paths,
        checkpoint_path=values.get("CHECKPOINT_PATH", "").strip(),
        checkpoint_url=SecretStr(values.get("CHECKPOINT_URL", "").strip()),
        civitai_key=SecretStr(values.get("CIVITAI_API_KEY", "").strip()),
        hf_id=values.get("NOVA_ANIME_HF_ID", "").strip(),
        hf_filename=values.get("NOVA_ANIME_HF_FILENAME", "").strip(),
        hf_revision=values.get("NOVA_ANIME_HF_REVISION", "").strip() or "main",
        hf_endpoint=values.get("HF_ENDPOINT", "").strip().rstrip("/") or "https://huggingface.co",
        hf_token=SecretStr(values.get("HF_TOKEN", "").strip()),
        require_checkpoint=_flag(values, "NOVA_REQUIRE_CHECKPOINT"),
        face_detector_path=values.get("FACE_DETECTOR_PATH", "").strip(),
        allow_pickle=_flag(values, "NOVA_ALLOW_PICKLE"),
        device=values.get("NOVA_DEVICE", "").strip().lower(),
        dtype=values.get("NOVA_DTYPE", "").strip().lower(),
        threads=_threads(values),
        cpu_capability=values.get("ATEN_CPU_CAPABILITY", "").strip().lower(),
    )


def _cache(folder: str) -> Path:
    if folder:
        return expand(folder).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("nova-graph", appauthor=False)


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name, "").strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise SettingError(f"{name} is neither on nor off: {text[:40]!r}", hint="Set it to 1 or 0.")


def _threads(values: Mapping[str, str]) -> int:
    name = "NOVA_THREADS" if values.get("NOVA_THREADS", "").strip() else "OMP_NUM_THREADS"
    text = values.get(name, "").strip()
    if name == "OMP_NUM_THREADS":
        text = text.partition(",")[0]  # OpenMP allows one number per level of nesting
    if not text:
        return 0
    if _COUNT.fullmatch(text):
        return int(text)
    raise SettingError(f"{name} is not a number of threads: {text[:40]!r}", hint="Set it to 1 or more, or unset it.")
