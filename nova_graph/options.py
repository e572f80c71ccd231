"""What the user set about caches and nodes, read from the environment variables once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SettingError

_SIZE = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([kmgt]?)i?b?\s*", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Budgets in bytes, and where further node types lie; `pool` 0 lets the machine decide."""

    memory: int = 1 << 30
    """Node outputs kept in memory: `NOVA_MEMORY`."""
    disk: int = 20 << 30
    """Node outputs kept in the cache folder: `NOVA_CACHE_LIMIT`."""
    pool: int = 0
    """Loaded models kept in memory: `NOVA_MODEL_MEMORY`."""
    nodes: tuple[Path, ...] = ()
    """Folders with node types: `NOVA_NODES`."""


def read_options(environ: Mapping[str, str] | None = None) -> Options:
    """Read the options from environment variables; without `environ`, from those of this process.

    Raises SettingError.
    """
    values = os.environ if environ is None else environ
    usual = Options()
    return Options(
        memory=_bytes(values, "NOVA_MEMORY", usual.memory),
        disk=_bytes(values, "NOVA_CACHE_LIMIT", usual.disk),
        pool=_bytes(values, "NOVA_MODEL_MEMORY", usual.pool),
        nodes=tuple(Path(part).expanduser() for part in values.get("NOVA_NODES", "").split(os.pathsep) if part),
    )


def _bytes(values: Mapping[str, str], name: str, usual: int) -> int:
    text = values.get(name, "").strip()
    if not text:
        return usual
    match = _SIZE.fullmatch(text)
    if match is None:
        raise SettingError(f"{name} is not a size: {text[:40]!r}", hint="Write it like 8GB or 500MB.")
    return int(float(match[1]) * _UNITS[match[2].lower()])
