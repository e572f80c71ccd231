"""The processor: how many threads, and which instructions torch uses on it."""

import math
import os
import platform
from contextlib import suppress
from pathlib import Path

_AVX512 = frozenset({"avx512f", "avx512vl", "avx512bw", "avx512dq", "fma"})
_AVX2 = frozenset({"avx2", "fma"})
_CPU_INFO = Path("/proc/cpuinfo")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def count_threads() -> int:
    """Count the processors that this process may use: affinity and container quota are heeded."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, _quota() or usable))


def instruction_set(wanted: str = "") -> str:
    """Return the instructions that torch's own kernels use: avx512, avx2 or default, or the architecture's name.

    `wanted` is the value of ATEN_CPU_CAPABILITY, by which torch can be held to fewer.
    """
    machine = platform.machine().lower()
    if machine not in ("x86_64", "amd64", "i686"):
        return machine or "unknown"
    flags = frozenset(_cpu_info("flags").split())
    if not flags:
        return "unknown"
    best = "avx512" if flags >= _AVX512 else "avx2" if flags >= _AVX2 else "default"
    order = ("default", "avx2", "avx512")
    return min(best, wanted, key=order.index) if wanted in order else best


def vendor() -> str:
    """Return who made the processor, since math libraries choose their code by it."""
    return _cpu_info("vendor_id") or platform.processor().replace("|", " ") or "unknown"


def _cpu_info(field: str) -> str:
    with suppress(OSError):
        for line in _CPU_INFO.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == field:
                return value.strip()
    return ""


def _quota() -> int:
    """Return the container's limit in whole processors, rounded up; 0 if there is none."""
    with suppress(OSError, ValueError):
        limit, period = _QUOTA.read_text().split()
        return math.ceil(int(limit) / int(period))
    return 0
