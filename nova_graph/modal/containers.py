"""What containers hold: made once when they start, from the environment that the image and the secret give them."""

import importlib
import os
import random
import sys
import time
from collections.abc import Callable

from engine.values import Json
from nodes.assets import read_settings
from nova_graph.modal.documents import without_history
from nova_graph.modal.front import Front, front_runtime
from nova_graph.modal.settings import CloudSettings
from nova_graph.modal.studio import Studio
from nova_graph.modal.timing import TimingLog
from nova_graph.modal.volume import Shared
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
    "nodes.sdxl.vae",
)
"""What nodes import when they run: torch, diffusers and transformers come with it."""


def import_kernels() -> None:
    """Import what takes long and touches no device, so that a snapshot of the memory holds it.

    Nothing in here may ask for CUDA: the answer, that there is none, would be in the snapshot.
    """
    for name in KERNELS:
        importlib.import_module(name)


def open_studio(cloud: CloudSettings, volume: Shared, leave: Callable[[], None], began: float) -> Studio:
    """Open what a GPU container works with; `began` is the `time.time()` at which it began to start."""
    reseed()
    settings = read_settings()
    runtime = without_history(local_runtime(settings=settings, warn=tell))
    timing = TimingLog(settings.cache / "timing", os.environ.get("MODAL_TASK_ID", "local"))
    return Studio(runtime, volume, timing, leave, cold=time.time() - began, fallback=cloud.fallback)


def open_front(volume: Shared, *, names_only: bool = False) -> Front:
    """Open what a processor-only container works with; `names_only` for graphs from strangers."""
    settings = read_settings(allow_paths=False, folders=()) if names_only else read_settings()
    return Front(front_runtime(settings, tell), volume)


def fetch_default(front: Front, checkpoint: str) -> str:
    """Download a checkpoint and the VAE that goes with it; raises NovaError."""
    node: Json = {"type": "CheckpointLoader", "inputs": {"checkpoint": checkpoint}}
    vae: Json = {"type": "VAE", "inputs": {"bundled": "$loader.vae", "override": "auto"}}
    return front.fetch({"nova": 1, "nodes": {"loader": node, "vae": vae}, "outputs": {"vae": "$vae.vae"}})


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
