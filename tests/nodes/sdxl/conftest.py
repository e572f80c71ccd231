"""What the tests of the SDXL nodes share: one thread, and a tiny checkpoint."""

from pathlib import Path

import pytest
import torch

from tests.tiny import write_checkpoint


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Compute with one thread, so that bits do not depend on the number of cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint."""
    return write_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny.safetensors")
