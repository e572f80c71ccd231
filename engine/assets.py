"""Things outside the graph that a graph names: weights, detectors, upscalers, pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.errors import AssetMissing, AssetRefused
from engine.stamps import Stamp, stamp_of


@dataclass(frozen=True, slots=True)
class AssetPort:
    """Marks a string port whose text names an asset: `checkpoint: Annotated[str, AssetPort("checkpoint")] = "auto"`.

    The text must be known before the run: a literal or a graph input. The content's sha256, not the text, is in keys.
    """

    kind: str


@dataclass(frozen=True, slots=True)
class Asset:
    """A name of a kind, as a graph says it."""

    kind: str
    name: str


RUN_AGAIN = "Run it again: it is then planned with the file as it is."


@dataclass(frozen=True, slots=True)
class Found:
    """An asset that is there, whole and hashed; `path` is None where the name legitimately means nothing (`none`)."""

    asset: Asset
    path: Path | None
    sha256: str
    how: str = ""
    """Which step found it, for people: 'embedded nova-nano'."""
    stamp: Stamp | None = None
    """The file's, from before it was hashed; None where nobody can change the file."""

    def check(self) -> None:
        """Look whether the file is still the one that was hashed; raises AssetMissing, AssetRefused."""
        if self.path is None or self.stamp is None:
            return
        try:
            now = stamp_of(self.path)
        except OSError as error:
            raise AssetMissing(f"{self.path.name} cannot be read any more: {error.strerror}", hint=RUN_AGAIN) from error
        if now != self.stamp:
            raise AssetRefused(f"{self.path.name} was changed after the run was planned", hint=RUN_AGAIN)


@dataclass(frozen=True, slots=True)
class Fetchable:
    """An asset that is not here yet but can be downloaded; its content is unknown until then."""

    asset: Asset
    how: str


Report = Callable[[int, int | None, str], None]
"""Called with bytes done, bytes in all where known, and what is being fetched; may raise Cancelled."""


class Assets(Protocol):
    """Where the application looks things up; the engine only asks."""

    def find(self, asset: Asset) -> Found | Fetchable:
        """Look an asset up without downloading; raises AssetMissing or AssetRefused."""
        ...

    def fetch(self, asset: Asset, report: Report) -> Found:
        """Download an asset if need be; raises AssetError."""
        ...
