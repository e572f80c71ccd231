"""Loading a network that makes pictures larger: ESRGAN and the other architectures that spandrel knows."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from spandrel import MAIN_REGISTRY, ImageModelDescriptor, UnsupportedModelError
from torch.overrides import TorchFunctionMode

from engine.errors import AssetRefused
from engine.values import Loading
from nodes.sdxl.devices import device_of
from nodes.sdxl.weights import open_weights
from nodes.values import Upscaler

MOST_BLOCKS = 1000
"""Spandrel builds as many blocks as the highest number in the names of the tensors says."""

SPARE = 2**24
"""How many numbers a network may hold beyond twice those in its file: masks, positions, what is made and dropped."""

MAKES_NOISE = ("AuraSR",)
"""Architectures whose pictures differ from one run to the next."""

RGB = 3

WRONG_FILE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    NotImplementedError,
    AssertionError,
)
"""What building a network from names and shapes that belong to none raises."""

_HINT = "Use an ESRGAN, Compact, SwinIR, DAT or other upscaler for colour pictures; docs/checkpoints.md tells more."


@dataclass(frozen=True, slots=True)
class LiveUpscaler:
    """A loaded network; `enlarge` makes one picture [1, 3, height, width] from 0 to 1 `factor` times larger.

    Sizes that the network cannot take are padded by `enlarge`, and what was padded is cut off again.
    """

    network: torch.nn.Module
    enlarge: Callable[[torch.Tensor], torch.Tensor]
    factor: int

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return next(self.network.parameters()).device


def load_upscaler(handle: Upscaler, loading: Loading) -> LiveUpscaler:
    """Load an upscaler, in single precision as ComfyUI does; raises AssetMissing or AssetRefused.

    The architecture and its sizes are read off the names and shapes of the tensors, by spandrel.
    """
    with open_weights(loading.path(handle.weights.sha256)) as file:
        tensors = {key: file.get(key) for key in file.keys}
    name = handle.weights.name
    _refuse_endless(name, tensors)
    described = _described(name, tensors)
    network: torch.nn.Module = described.model
    network.to(device=device_of(loading.environment), dtype=torch.float32).eval().requires_grad_(requires_grad=False)
    return LiveUpscaler(network, described, int(described.scale))


def _described(name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Return spandrel's description of the network; it is no type of ours, since spandrel declares none."""
    allowed = 2 * sum(tensor.nelement() for tensor in tensors.values()) + SPARE
    try:
        with torch.random.fork_rng(devices=[]), _Bounded(allowed):  # building draws start weights
            described = MAIN_REGISTRY.load(tensors)
    except UnsupportedModelError as error:
        raise AssetRefused(f"{name} is no upscaler: no known architecture has its tensors", hint=_HINT) from error
    except WRONG_FILE as error:
        why = f"{type(error).__name__}: {_short(error)}"
        raise AssetRefused(f"{name} is no whole upscaler: {why}", hint=_HINT) from error
    unfit = _unfit(described)
    if unfit:
        raise AssetRefused(f"{name} does not make pictures larger here: {unfit}", hint=_HINT)
    return described


def _unfit(described: Any) -> str:
    """Say why a network is none that makes a colour picture larger; empty if it is one."""
    kind = f"it is of the architecture {described.architecture.name},"
    if not isinstance(described, ImageModelDescriptor) or described.purpose != "SR" or described.scale <= 1:
        return f"{kind} for another purpose ({described.purpose}, factor {described.scale})"
    if (described.input_channels, described.output_channels) != (RGB, RGB):
        return f"{kind} from {described.input_channels} to {described.output_channels} channels, not for RGB"
    if described.architecture.id in MAKES_NOISE:
        return f"{kind} which draws with noise of its own, so that no picture could be made again"
    return ""


def _refuse_endless(name: str, tensors: dict[str, torch.Tensor]) -> None:
    for key in tensors:
        parts = (part.strip().removeprefix("+").replace("_", "") for part in key.split("."))  # all that int() reads
        numbers = (part.lstrip("0") for part in parts if part.isdecimal())
        if max(map(len, numbers), default=0) >= len(str(MOST_BLOCKS)):
            raise AssetRefused(f"{name} is no upscaler: {key[-60:]!r} counts beyond {MOST_BLOCKS:,} blocks", hint=_HINT)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


class _Bounded(TorchFunctionMode):
    """Stops the building of a network that asks for more memory than its file could fill."""

    def __init__(self, allowed: int) -> None:
        super().__init__()
        self._left = allowed

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _MAKERS:
            self._left -= _count(args, kwargs or {})
            if self._left < 0:
                raise ValueError("its shapes ask for a far larger network than the file holds")
        return func(*args, **(kwargs or {}))


_MAKERS = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full)


def _count(args: Any, kwargs: dict[str, Any]) -> int:
    """Return how many numbers a call that makes a tensor asks for."""
    size = args[0] if args else kwargs.get("size", ())
    return prod(size) if isinstance(size, tuple | list) else prod(arg for arg in args if isinstance(arg, int))
