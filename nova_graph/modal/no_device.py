"""Torch without a question to the driver: its first answer would stay, and so be in the snapshot."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType


@contextmanager
def no_device() -> Iterator[None]:
    """Answer every question for CUDA devices with "there is none", and forget these answers afterwards.

    CUDA counts its devices once in a process. A snapshot is taken where there may be no GPU, so the count would be 0
    for good. What is replaced is where torch's Python code meets the driver, since that code itself is imported by
    name here and there. `torch` and `diffusers` are as before when this ends.
    """
    import torch

    with ExitStack() as kept:
        kept.enter_context(_replaced(torch._C, "_cuda_getDeviceCount", _none))
        kept.enter_context(_replaced(torch.cuda, "_device_count_nvml", _none))
        try:
            yield
        finally:
            _forget()


def _none() -> int:
    return 0


@contextmanager
def _replaced(module: ModuleType, name: str, other: Callable[[], int]) -> Iterator[None]:
    """Replace a function of a module; one that this build of torch lacks is asked by nobody."""
    original = getattr(module, name, None)
    if original is None:
        yield
        return
    setattr(module, name, other)
    try:
        yield
    finally:
        setattr(module, name, original)


def _forget() -> None:
    """Empty the caches that now hold "there is none"."""
    diffusers = sys.modules.get("diffusers.utils.torch_utils")
    if diffusers is not None:
        diffusers.TorchDeviceBackend._detect_device_type.cache_clear()
