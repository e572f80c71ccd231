"""State on disk that a cut never leaves half written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

State = dict[str, Any]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the name of a file beside `path`; what is written there takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
    os.close(handle)
    fresh = Path(name)
    try:
        yield fresh
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.chmod(0o644)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def save_state(path: Path, state: State) -> None:
    """Write tensors, numbers and texts atomically."""
    with replacing(path) as fresh:
        torch.save(state, fresh)


def load_state(path: Path, device: torch.device | str = "cpu") -> State:
    """Read what `save_state` wrote; nothing in the file is executed."""
    state: State = torch.load(path, map_location=device, weights_only=True)
    return state
