"""Where nodes compute, found without importing torch."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from engine.environment import Environment
from engine.errors import SettingError
from nodes.assets.cpu import count_threads, instruction_set, vendor
from nodes.assets.gpu import cuda_name, has_cuda_build, has_metal
from nodes.assets.settings import Settings

PACKAGES = ("torch", "diffusers", "transformers", "compel", "peft", "ultralytics")
"""Their versions decide what is computed, and so are in the keys of nodes that use the device."""

DTYPES = ("float32", "float16", "bfloat16")
_DEVICES = ("cpu", "cuda", "mps")


def find_environment(settings: Settings) -> Environment:
    """Find the device, its dtype and the software. Raises SettingError.

    The first CUDA device that the driver shows (so `CUDA_VISIBLE_DEVICES` applies), else Metal on Apple silicon, else
    the processor. On a GPU the dtype is float16, in which SDXL checkpoints are published and pictures are compared; on
    a processor it is float32, which is faster there. `NOVA_DEVICE`, `NOVA_DTYPE` and `NOVA_THREADS` override.

    Asking the driver starts it in this process: start workers with spawn, not with fork, afterwards.
    """
    gpu = cuda_name() if settings.device in ("", "cuda") and has_cuda_build() else ""
    device = _device(settings, gpu)
    dtype = settings.dtype or ("float32" if device == "cpu" else "float16")
    if dtype not in DTYPES:
        raise SettingError(f"NOVA_DTYPE is {dtype[:40]!r}", hint=f"Set it to one of {', '.join(DTYPES)}, or unset it.")
    detail = [
        ("threads", str(settings.threads or count_threads())),
        ("cpu", f"{vendor()} {instruction_set(settings.cpu_capability)}"),
        ("platform", f"{sys.platform}-{platform.machine().lower()}"),
    ]
    if device == "cuda":
        detail.append(("gpu", gpu))
    return Environment(device, dtype, _versions(), tuple(detail))


def threads_of(environment: Environment) -> int:
    """Return how many threads an environment computes with; 0 where it does not say."""
    return int(dict(environment.detail).get("threads", "0"))


def _device(settings: Settings, gpu: str) -> str:
    if settings.device and settings.device not in _DEVICES:
        raise SettingError(
            f"NOVA_DEVICE is {settings.device[:40]!r}",
            hint=f"NOVA_DEVICE is one of {', '.join(_DEVICES)}, or left out; CUDA_VISIBLE_DEVICES chooses among GPUs.",
        )
    if settings.device == "cuda" and not gpu:
        raise SettingError(
            "NOVA_DEVICE is cuda, but there is no usable CUDA device",
            hint="Check nvidia-smi, CUDA_VISIBLE_DEVICES and that torch is a CUDA build, or leave NOVA_DEVICE out.",
        )
    if settings.device == "mps" and not has_metal():
        raise SettingError("NOVA_DEVICE is mps, but this is no Apple silicon", hint="Leave NOVA_DEVICE out.")
    if settings.device:
        return settings.device
    if gpu:
        return "cuda"
    return "mps" if has_metal() else "cpu"


def _versions() -> tuple[tuple[str, str], ...]:
    found = []
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)
