"""Loaded models for a runtime: created at the first use, so that nothing before it imports torch."""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine.assets import Asset, Assets, Fetchable, Found, Report
from engine.environment import Environment
from engine.errors import AssetMissing
from engine.values import Handle

if TYPE_CHECKING:
    from nodes.sdxl.pool import Pool

Live = TypeVar("Live")

UNKNOWN_MEMORY = 16 << 30
"""What is assumed of a machine that does not tell: in half of it, one SDXL checkpoint stays loaded."""


class KnownFiles:
    """Assets that remember where each content was found, so that a handle, which names content only, can be loaded."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets
        self._files: dict[str, tuple[Path, Found]] = {}

    def find(self, asset: Asset) -> Found | Fetchable:
        """Look an asset up without downloading; raises AssetError."""
        return self._remember(self._assets.find(asset))

    def fetch(self, asset: Asset, report: Report) -> Found:
        """Download an asset if need be; raises AssetError."""
        found = self._assets.fetch(asset, report)
        self._remember(found)
        return found

    def path(self, sha256: str) -> Path:
        """Return where this content was last found; raises AssetMissing, and AssetRefused where it is not any more."""
        path, found = self._known(sha256)
        found.check()
        return path

    def check(self, sha256: str) -> None:
        """Look whether the file with this content is still what it was; raises AssetMissing, AssetRefused."""
        self._known(sha256)[1].check()

    def _known(self, sha256: str) -> tuple[Path, Found]:
        if sha256 not in self._files:
            raise AssetMissing(f"no file with sha256 {sha256} was found in this run")
        return self._files[sha256]

    def _remember(self, result: Found | Fetchable) -> Found | Fetchable:
        if isinstance(result, Found) and result.path is not None:
            self._files[result.sha256] = (result.path, result)
        return result


class LazyPool:
    """The pool of loaded models, made when the first model is asked for."""

    def __init__(self, files: KnownFiles, environment: Environment, budget: int) -> None:
        self._files = files
        self._environment = environment
        self._budget = budget
        self._lock = threading.Lock()
        self._pool: Pool | None = None

    @property
    def environment(self) -> Environment:
        """Device and dtype to load for."""
        return self._environment

    def path(self, sha256: str) -> Path:
        """Return the file with this content; raises AssetMissing, AssetRefused."""
        return self._files.path(sha256)

    def check(self, sha256: str) -> None:
        """Look whether the file with this content is still what it was; raises AssetMissing, AssetRefused."""
        self._files.check(sha256)

    def warn(self, text: str) -> None:
        """Do nothing: every use of the pool brings its own way to warn."""

    def resident(self, handle: Handle[Live], warn: Callable[[str], None]) -> AbstractContextManager[Live]:
        """Lend the live object of a handle."""
        return self._made().resident(handle, warn)

    def clear(self) -> int:
        """Forget every model that is not in use; returns the bytes freed."""
        return self._pool.clear() if self._pool is not None else 0

    def _made(self) -> "Pool":
        with self._lock:
            if self._pool is None:
                from nodes.sdxl.pool import Pool
                from nodes.sdxl.threads import apply_threads

                apply_threads(self._environment)
                self._pool = Pool(self._budget or usual_budget(self._environment), self)
            return self._pool


def usual_budget(environment: Environment) -> int:
    """Return how many bytes of models to keep loaded: most of the GPU's memory, or half of the machine's."""
    if environment.device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(0).total_memory * 0.8)
    return _machine_memory() // 2


def _machine_memory() -> int:
    """Return the bytes of memory of this machine, or UNKNOWN_MEMORY where the system does not say (Windows)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN_MEMORY
