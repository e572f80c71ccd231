"""What containers hold: made once when they start, from the environment that the image and the secret give them."""

import importlib
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from engine.errors import AssetError, NovaError
from engine.values import Json
from nodes.assets import read_settings
from nova_graph.modal.documents import without_history
from nova_graph.modal.front import Download, Front, front_runtime
from nova_graph.modal.no_device import no_device
from nova_graph.modal.preload import Held, load_on_processor, models_document, with_held
from nova_graph.modal.settings import CloudSettings
from nova_graph.modal.studio import Studio
from nova_graph.modal.timing import TimingLog, forget_old
from nova_graph.modal.volume import Shared
from nova_graph.models import usual_budget
from nova_graph.options import read_options
from nova_graph.runtime import local_runtime

KERNELS = (
    "nodes.pictures.files",
    "nodes.sdxl.denoise",
    "nodes.sdxl.detail",
    "nodes.sdxl.detail_redraw",
    "nodes.sdxl.detector",
    "nodes.sdxl.model",
    "nodes.sdxl.pool",
    "nodes.sdxl.prompt",
    "nodes.sdxl.text",
    "nodes.sdxl.upscale",
    "nodes.sdxl.vae",
)
"""What nodes import when they run: torch, diffusers and transformers come with it; ultralytics is imported besides."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a container has in ordinary memory before it looks for its device; a snapshot holds it."""

    held: Held
    """The usual checkpoint's models, where a snapshot is taken."""
    container: str
    """Who imported and loaded; another name in a container that goes on from the snapshot."""


def import_and_load() -> Loaded:
    """Import what nodes need, and where a snapshot is taken after this, load the usual checkpoint."""
    import_kernels()
    return Loaded(load_models() if will_be_snapshot() else {}, _container())


def import_kernels() -> None:
    """Import what takes long, so that a snapshot of the memory holds it; no device is asked for."""
    with no_device():
        for name in KERNELS:
            importlib.import_module(name)
        from nodes.sdxl.detector_import import import_ultralytics

        import_ultralytics()


def will_be_snapshot() -> bool:
    """Tell whether Modal takes a snapshot of this container's memory, which it does for deployed apps only.

    Without one, models are better loaded when a graph needs them: it may name others, or find its results in the cache.
    """
    return os.environ.get("MODAL_ENABLE_SNAP_RESTORE") == "1"


def load_models() -> Held:
    """Load the usual checkpoint into ordinary memory, so that a snapshot holds it."""
    with no_device():
        held = load_on_processor(read_settings(), tell)
    sys.stderr.write(f"{len(held)} models are loaded before the snapshot\n")
    return held


def open_studio(
    cloud: CloudSettings, volume: Shared, leave: Callable[[], None], *, began: float, loaded: Loaded
) -> Studio:
    """Open what a GPU container works with; `began` is the `time.time()` at which its imports began.

    Models that are loaded already go to the device now. A container that goes on from a snapshot begins here.
    """
    held = loaded.held
    if loaded.container != _container():
        began = time.time()
    reseed()
    settings = read_settings()
    options = read_options()
    runtime = local_runtime(settings=settings, warn=tell)
    if held and not options.pool:
        from nodes.sdxl.pool import weight_bytes

        budget = usual_budget(runtime.environment) - sum(map(weight_bytes, held.values()))
        runtime = local_runtime(settings=settings, options=replace(options, pool=max(1, budget)), warn=tell)
    runtime = with_held(without_history(runtime), held)
    forget_old(settings.cache / "timing")
    timing = TimingLog(settings.cache / "timing", _container())
    return Studio(runtime, volume, timing, leave, cold=time.time() - began, fallback=cloud.fallback)


def open_front(
    cloud: CloudSettings, volume: Shared, *, names_only: bool = False, download: Download | None = None
) -> Front:
    """Open what a processor-only container works with; `names_only` for graphs from strangers."""
    settings = read_settings(allow_paths=False, folders=()) if names_only else read_settings()
    return Front(front_runtime(settings, tell), volume, cloud.fallback, download)


def fetch_default(front: Front, checkpoint: str) -> str:
    """Download a checkpoint and the VAE that goes with it, print where they are, and return that too.

    Raises NovaError, without a place in a graph of nobody's.
    """
    try:
        where = front.fetch(models_document(checkpoint))
    except AssetError as error:
        raise (error.__cause__ if isinstance(error.__cause__, AssetError) else error) from None
    _print(where)
    return where


def print_timing(front: Front) -> dict[str, Json]:
    """Print how long the calls of all containers took, and return that too."""
    report = front.timing_report()
    _print("\n".join(f"{name}: {value}" for name, value in report.items()))
    return report


@contextmanager
def plain_errors() -> Iterator[None]:
    """Raise RuntimeError in place of NovaError: a caller elsewhere may not have this project's classes."""
    try:
        yield
    except NovaError as error:
        raise RuntimeError(str(error)) from None


def reseed() -> None:
    """Give this process random numbers of its own: all containers restored from one snapshot have the same."""
    random.seed()
    for name in ("numpy", "torch"):
        module = sys.modules.get(name)
        if module is not None and name == "numpy":
            module.random.seed()
        elif module is not None:
            module.seed()


def tell(text: str) -> None:
    """Write a warning where Modal's log has it."""
    sys.stderr.write(f"warning: {text}\n")


def _container() -> str:
    """Return the name that Modal gave this container."""
    return os.environ.get("MODAL_TASK_ID", "local")


def _print(text: str) -> None:
    """Write where `modal run` shows it, which shows no return values."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
