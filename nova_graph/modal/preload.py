"""Models loaded into ordinary memory before the snapshot, and moved to the device after it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeVar, cast

from engine.environment import Environment
from engine.services import Pool
from engine.values import AnyHandle, Handle, Json
from nodes.assets import Settings
from nova_graph.api import run
from nova_graph.modal.documents import Document, plan_document
from nova_graph.modal.front import planned_environment
from nova_graph.runtime import Runtime, Warn, local_runtime

if TYPE_CHECKING:
    import torch

Live = TypeVar("Live")

Held = Mapping[AnyHandle, object]
"""Loaded models by what they were loaded from."""


def models_document(checkpoint: str) -> Document:
    """Return a graph that names a checkpoint's models and computes nothing."""
    loader: Json = {"type": "CheckpointLoader", "inputs": {"checkpoint": checkpoint}}
    vae: Json = {"type": "VAE", "inputs": {"bundled": "$loader.vae", "override": "auto"}}
    outputs: Json = {"model": "$loader.model", "text_encoders": "$loader.text_encoders", "vae": "$vae.vae"}
    return {"nova": 1, "nodes": {"loader": loader, "vae": vae}, "outputs": outputs}


def load_on_processor(settings: Settings, warn: Warn) -> Held:
    """Load the models of the checkpoint that `auto` stands for, without asking for a device.

    They have the dtype of the device that they are meant for. Where there is no such checkpoint yet, or none that
    can be used, nothing is loaded: a container must start all the same, for graphs with another one.
    """
    dtype = planned_environment(settings).dtype
    runtime = local_runtime(settings=replace(settings, device="cpu", dtype=dtype), on_disk=False, warn=warn)
    try:
        plan = plan_document(models_document("auto"), runtime)
        if plan.engine_plan.pending:
            return {}
        handles = run(plan).outputs.values()
        return {handle: handle.load(runtime.pool) for handle in handles if isinstance(handle, Handle)}
    except Exception as error:  # noqa: BLE001 - whatever a strange file makes of it; who draws with it is told then
        warn(f"no model is loaded before the snapshot: {error}")
        return {}


def with_held(runtime: Runtime, held: Held) -> Runtime:
    """Return a runtime that lends the held models from the device, and loads all others as ever."""
    if not held:
        return runtime
    for live in held.values():
        move(live, runtime.environment)
    return replace(runtime, services=replace(runtime.services, pool=HeldPool(held, runtime.services.pool)))


def move(live: object, environment: Environment) -> None:
    """Move the modules in the fields of a loaded model to the device of an environment."""
    from nodes.sdxl.devices import device_of

    for member in fields(live):  # type: ignore[arg-type]
        value = getattr(live, member.name)
        if hasattr(value, "parameters"):
            cast("torch.nn.Module", value).to(device_of(environment))


@dataclass(frozen=True)
class HeldPool:
    """A pool with models that it never forgets, over one that does."""

    held: Held
    pool: Pool

    def resident(self, handle: Handle[Live], warn: Callable[[str], None]) -> AbstractContextManager[Live]:
        """Lend the live object of a handle."""
        return self._lend(handle) if handle in self.held else self.pool.resident(handle, warn)

    def clear(self) -> int:
        """Forget what is not in use and not held; returns the bytes freed."""
        return self.pool.clear()

    @contextmanager
    def _lend(self, handle: Handle[Live]) -> Iterator[Live]:
        yield cast("Live", self.held[handle])
