"""From one .safetensors file into the modules of a model, component by component."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError, safe_open

from engine.errors import AssetRefused
from nodes.sdxl.layout import Place

Change = Callable[[str, torch.Tensor], torch.Tensor]
"""Given a parameter's name and its tensor from the file; returns the tensor to load."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """An open file of weights, mapped into memory: only what is asked for is read."""

    name: str
    get: Callable[[str], torch.Tensor]
    keys: Collection[str]

    def read(self, place: Place, shape: torch.Size) -> torch.Tensor:
        """Return the tensor at a place, still mapped; raises AssetRefused where it does not fit the shape."""
        tensor = self.get(place.key)
        if place.transposed:
            tensor = tensor.T
        if place.third is not None:
            rows = tensor.shape[0] // 3
            tensor = tensor[place.third * rows : (place.third + 1) * rows]
        if tensor.shape != shape and tuple(dim for dim in tensor.shape if dim > 1) != tuple(
            dim for dim in shape if dim > 1
        ):
            raise AssetRefused(
                f"{self.name}: {place.key} has the shape {list(tensor.shape)} where this model needs {list(shape)}",
                hint="The checkpoint has another structure than SDXL.",
            )
        return tensor.reshape(shape)


@contextmanager
def open_weights(path: Path) -> Iterator[WeightFile]:
    """Open a .safetensors file; raises AssetRefused where it is damaged."""
    try:
        with safe_open(path, framework="pt", device="cpu") as tensors:
            yield WeightFile(path.name, tensors.get_tensor, frozenset(tensors.keys()))
    except SafetensorError as error:
        raise AssetRefused(f"{path.name} cannot be read: {error}", hint="Download the file again.") from error


def empty(build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """Build a module without giving its parameters any memory.

    Raises AssetRefused where its settings, which may be a stranger's, contradict each other.
    """
    try:
        with init_empty_weights(include_buffers=False):
            return build()
    except (ValueError, TypeError, IndexError, ZeroDivisionError, RuntimeError, NotImplementedError) as error:
        raise AssetRefused(
            f"the model configuration that the file carries makes no model: {error}",
            hint="Its settings contradict each other; the file has to be written again.",
        ) from error


def fill(
    module: torch.nn.Module,
    places: Mapping[str, Place],
    file: WeightFile,
    device: torch.device,
    dtype: torch.dtype,
    change: Change | None = None,
) -> None:
    """Load every parameter of an empty module and make it ready for inference.

    Each tensor is copied out of the mapped file, so that its alignment in memory, and with it the last bits of results,
    does not depend on where it lies in the file. Raises AssetRefused where tensors are missing or do not fit.
    """
    missing = sorted({place.key for place in places.values() if place.key not in file.keys})
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise AssetRefused(
            f"{file.name} lacks {missing[0]}{more}, which {type(module).__name__} needs",
            hint="The file is not a whole SDXL model, or has another structure.",
        )
    loaded = {}
    for name, parameter in module.state_dict().items():
        tensor = file.read(places[name], parameter.shape)
        if change is not None:
            tensor = change(name, tensor)
        loaded[name] = tensor.contiguous().to(device=device, dtype=dtype, copy=True)
    module.load_state_dict(loaded, strict=True, assign=True)
    unfilled = [name for name, tensor in (*module.named_parameters(), *module.named_buffers()) if tensor.is_meta]
    if unfilled:
        raise AssetRefused(f"{file.name}: {type(module).__name__} has no weights for {unfilled[0]}")
    module.to(device).eval().requires_grad_(requires_grad=False)
