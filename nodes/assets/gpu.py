"""Which GPU there is, asked of the driver itself: importing torch for it takes seconds."""

import ctypes
import importlib.util
import platform
import sys
from contextlib import suppress
from pathlib import Path

_NAME_BYTES = 256
_FIRST = 0


def cuda_name() -> str:
    """Return the name of the first CUDA device that this process may see; empty if there is none."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return ""
    count, device = ctypes.c_int(0), ctypes.c_int(0)
    name = ctypes.create_string_buffer(_NAME_BYTES)
    with suppress(AttributeError):
        calls_worked = (
            driver.cuInit(0) == 0
            and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
            and count.value > 0
            and driver.cuDeviceGet(ctypes.byref(device), _FIRST) == 0
            and driver.cuDeviceGetName(name, _NAME_BYTES, device) == 0
        )
        if calls_worked:
            return name.value.decode("utf-8", "replace").replace("|", " ") or "CUDA device"
    return ""


def has_cuda_build() -> bool:
    """Tell whether the installed torch can use CUDA, by the libraries in its folder."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    libraries = Path(spec.origin).parent / "lib"
    return any((libraries / name).exists() for name in ("libtorch_cuda.so", "torch_cuda.dll"))


def has_metal() -> bool:
    """Tell whether this is Apple silicon."""
    return sys.platform == "darwin" and platform.machine() == "arm64"
