"""What most tests of assets need: settings in a folder of their own, and small files of weights."""

import json
import time
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from engine.assets import Asset, Fetchable, Found
from nodes.assets import LocalAssets, Settings
from nodes.assets.patience import Patience

IMPATIENT = Patience(tries=3, most=12, first_wait=0.0, longest_wait=0.0)
AUTO = Asset("checkpoint", "auto")


def weights(content: bytes = b"weights", *, pad: int = 0) -> bytes:
    """Return the bytes of a .safetensors file with one tensor."""
    body = content + bytes(pad)
    tensor = {"dtype": "U8", "shape": [len(body)], "data_offsets": [0, len(body)]}
    header = json.dumps({"w": tensor}).encode()
    return len(header).to_bytes(8, "little") + header + body


def put(path: Path, data: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(weights(path.name.encode()) if data is None else data)
    return path


def settle(path: Path) -> None:
    """Wait until the last change of a file is old enough to be told from the next one."""
    while time.time_ns() - path.stat().st_ctime_ns < 150_000_000:
        time.sleep(0.02)


def settings_in(folder: Path) -> Settings:
    """Make settings that see nothing outside a folder."""
    put(folder / "embedded" / "nova-nano.safetensors")
    put(folder / "embedded" / "face.safetensors")
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return Settings(
        cache=folder / "cache",
        models_lock=work / "models.lock",
        folders=(work,),
        baked=folder / "local" / "model.safetensors",
        embedded=folder / "embedded",
    )


def with_url(settings: Settings, address: str, key: str = "") -> Settings:
    return replace(settings, checkpoint_url=SecretStr(address), civitai_key=SecretStr(key))


def assets_of(settings: Settings) -> LocalAssets:
    return LocalAssets(settings, IMPATIENT)


def found(assets: LocalAssets, kind: str, name: str) -> Found:
    result = assets.find(Asset(kind, name))
    assert isinstance(result, Found)
    return result


def fetchable(assets: LocalAssets, kind: str, name: str) -> Fetchable:
    result = assets.find(Asset(kind, name))
    assert isinstance(result, Fetchable)
    return result


def ignore(done: int, total: int | None, what: str) -> None:
    """Report to nobody."""


def visible_files(folder: Path) -> list[str]:
    """List the finished files of a folder."""
    return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.exists() else []
