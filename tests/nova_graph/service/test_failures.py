"""Errors that say that memory is full, or that a device has failed; torch's own, where they can be had."""

import pytest
import torch

from engine.errors import NodeError, NovaError
from nova_graph.service.failures import is_device_lost, is_out_of_memory


def cpu_memory() -> RuntimeError:
    """Return what torch raises where the memory of the CPU is full."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    return caught.value


def in_node(error: BaseException) -> NodeError:
    """Return what a job hears of an error in a node."""
    return NodeError("sampler", "Sampler", error)


def told(cause: BaseException) -> NovaError:
    """Return an error in our own words."""
    error = NovaError("the device ran out of memory")
    error.__cause__ = cause
    return error


class Mute(RuntimeError):
    """Cannot say anything."""

    def __str__(self) -> str:
        raise ValueError("no word")


@pytest.mark.parametrize(
    ("error", "is_full", "is_lost"),
    [
        (MemoryError(), True, False),
        (in_node(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")), True, False),
        (in_node(told(torch.OutOfMemoryError("CUDA out of memory."))), True, False),
        (in_node(cpu_memory()), True, False),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True, False),
        (torch.AcceleratorError("CUDA error: out of memory"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True, False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False, True),
        (in_node(RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")), False, True),
        (torch.AcceleratorError("unspecified launch failure"), False, True),
        (in_node(ValueError("a mistake")), False, False),
        (in_node(NovaError("the word 'CUDA error: out of memory' is not known")), False, False),
        (in_node(Mute()), False, False),
    ],
    ids=range(13),
)
def test_errors_are_told_apart(error: BaseException, is_full: bool, is_lost: bool) -> None:
    assert (is_out_of_memory(error), is_device_lost(error)) == (is_full, is_lost)
