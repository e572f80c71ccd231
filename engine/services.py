"""What a run stands on: caches, assets, models in memory, and the device."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from engine.assets import Asset, Assets, Fetchable, Found, Report
from engine.cache import Cache
from engine.environment import Environment
from engine.errors import AssetMissing, Cancelled
from engine.pacer import Pacer
from engine.values import Handle

Live = TypeVar("Live")


class Pool(Protocol):
    """Keeps live objects in memory; the engine only borrows them."""

    def resident(self, handle: Handle[Live], warn: Callable[[str], None]) -> AbstractContextManager[Live]:
        """Lend the live object of a handle, loading it at the first use."""
        ...

    def clear(self) -> int:
        """Forget every live object that is not in use, and return how many bytes that were."""
        ...


class NoPool:
    """The pool of a run without models."""

    def resident(self, handle: Handle[Live], warn: Callable[[str], None]) -> AbstractContextManager[Live]:
        """Refuse: there is nothing to lend."""
        raise AssetMissing(f"{type(handle).__name__} cannot be loaded: this run has no model pool")

    def clear(self) -> int:
        """Forget nothing: there is nothing."""
        return 0


class NoAssets:
    """The assets of a graph that names nothing outside itself."""

    def find(self, asset: Asset) -> Found | Fetchable:
        """Refuse: there is nothing to find."""
        raise AssetMissing(f"{asset.kind} {asset.name!r} cannot be found: this run has no assets")

    def fetch(self, asset: Asset, report: Report) -> Found:
        """Refuse: there is nothing to fetch."""
        raise AssetMissing(f"{asset.kind} {asset.name!r} cannot be fetched: this run has no assets")


@dataclass(frozen=True)
class Services:
    """Everything a run uses besides its graph; share one among runs to share what is loaded and cached."""

    cache: Cache
    assets: Assets = field(default_factory=NoAssets)
    pool: Pool = field(default_factory=NoPool)
    environment: Environment = field(default_factory=Environment)
    lane: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever computes on the device."""
    pacer: Pacer = field(default_factory=Pacer)
    """Gives runs more threads where their nodes wait."""


class Cancel:
    """A flag that a caller raises to stop a run between steps."""

    def __init__(self) -> None:
        self._flag = threading.Event()

    def set(self) -> None:
        """Ask the run to stop."""
        self._flag.set()

    @property
    def is_set(self) -> bool:
        """Whether somebody asked."""
        return self._flag.is_set()

    def check(self) -> None:
        """Raise Cancelled if somebody asked."""
        if self._flag.is_set():
            raise Cancelled
