"""Files of weights that say they are large and take no room on the disk."""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path

from nodes.sdxl.header import LENGTH


def write_sparse(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    """Write 8-bit zeros of these shapes and return where they are."""
    entries, end = {}, 0
    for name, shape in shapes.items():
        entries[name] = {"dtype": "F8_E4M3", "shape": list(shape), "data_offsets": [end, end + prod(shape)]}
        end += prod(shape)
    header = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(LENGTH.pack(len(header)) + header)
        file.truncate(LENGTH.size + len(header) + end)
    return path
