"""What a failed job says of the machine: its memory was full, or its device will fail from now on."""

from collections.abc import Iterator
from typing import Final

from engine.errors import NodeError, said

_FULL: Final = ("out of memory", "can't allocate memory", "not enough memory", "STATUS_ALLOC_FAILED")
_LOST: Final = ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "an illegal memory access")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether there was too little memory for something; torch says so of the CPU's in a RuntimeError."""
    return any(_is_full(seen) for seen in _chain(error))


def is_device_lost(error: BaseException) -> bool:
    """Tell whether an error, or one that caused it, came from a device that will fail from now on.

    Memory that is merely full is not such an error.
    """
    return any(_is_lost(seen) for seen in _chain(error))


def _is_full(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _says(error, _FULL)


def _is_lost(error: BaseException) -> bool:
    return not _is_full(error) and (type(error).__name__ == "AcceleratorError" or _says(error, _LOST))


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    """Tell whether torch says so; errors of other classes may quote the text of a stranger."""
    return isinstance(error, RuntimeError) and any(word in said(error) for word in words)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Iterate over an error and what caused it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.cause if isinstance(seen, NodeError) else seen.__cause__
