"""What stays between runs on this machine: node types, caches, found files, loaded models."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.assets import Report
from engine.cache import Cache
from engine.environment import Environment
from engine.history import History
from engine.memory import Memory
from engine.registry import Registry
from engine.services import Services
from engine.store import Store
from nodes.assets import LocalAssets, Settings, read_settings
from nodes.assets.environment import find_environment
from nova_graph.models import KnownFiles, LazyPool
from nova_graph.options import Options, read_options
from nova_graph.plugins import all_nodes

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Runtime:
    """Share one among graphs to share what is loaded and cached; close it to be sure that the folder has everything."""

    registry: Registry
    services: Services
    settings: Settings
    assets: LocalAssets
    pool: LazyPool
    store: Store | None
    history: History | None

    @property
    def environment(self) -> Environment:
        """Device, dtype and software."""
        return self.services.environment

    def close(self) -> None:
        """Write what is still waiting to be written."""
        self.services.cache.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def local_runtime(
    *,
    settings: Settings | None = None,
    options: Options | None = None,
    registry: Registry | None = None,
    on_disk: bool = True,
    warn: Warn | None = None,
    reading: Report | None = None,
) -> Runtime:
    """Return the runtime of this machine, as the environment variables describe it.

    `on_disk=False` keeps results in memory only. `warn` hears what does not stop a run, by default `warnings.warn`;
    `reading` hears how far a weights file is read that was never seen before. Imports no torch.
    Raises SettingError, RegistryError.
    """
    settings = settings or read_settings()
    options = options or read_options()
    warn = warn or _warn
    assets = LocalAssets(settings, reading=reading) if reading else LocalAssets(settings)
    files = KnownFiles(assets)
    environment = find_environment(settings)
    pool = LazyPool(files, environment, options.pool)
    store = Store(results_folder(settings), options.disk, warn) if on_disk else None
    cache = Cache(Memory(options.memory), store, warn)
    return Runtime(
        registry=registry or all_nodes(options),
        services=Services(cache=cache, assets=files, pool=pool, environment=environment),
        settings=settings,
        assets=assets,
        pool=pool,
        store=store,
        history=History(settings.cache / "history") if on_disk else None,
    )


def results_folder(settings: Settings) -> Path:
    """Return the folder in which node outputs are kept."""
    return settings.cache / "results"


def _warn(text: str) -> None:
    import warnings

    warnings.warn(text, stacklevel=3)
