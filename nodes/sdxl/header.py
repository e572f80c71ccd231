"""The header of a .safetensors file, read without loading anything and trusting nothing."""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import AssetMissing, AssetRefused

LARGEST_HEADER = 64 * 1024 * 1024
"""In bytes; that of a full-size SDXL checkpoint has about 0.3 MB, but the notes of a long training add up in LoRAs."""

LENGTH = struct.Struct("<Q")
"""The first bytes of a file: how many bytes of JSON follow."""

MOST_DIMENSIONS = 16

_BITS = {
    **dict.fromkeys(("F64", "I64", "U64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 8),
}
_AGAIN = "Download the file again, and check that it is a .safetensors file."


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Type and shape of one tensor in a file."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """What a .safetensors file says it holds."""

    name: str
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]

    def has(self, prefix: str) -> bool:
        """Tell whether any tensor's name starts so."""
        return any(name.startswith(prefix) for name in self.tensors)


def read_header(path: Path) -> Header:
    """Read and check a header.

    Raises AssetMissing where there is no file, and AssetRefused where it is no whole .safetensors file.
    """
    if not path.is_file():
        raise AssetMissing(f"there is no file {path}")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(LENGTH.size)
        length = LENGTH.unpack(start)[0] if len(start) == LENGTH.size else 0
        if not len("{}") <= length <= LARGEST_HEADER:
            raise AssetRefused(f"{path.name} is not a .safetensors file: {_first_look(start, size)}", hint=_AGAIN)
        if LENGTH.size + length > size:
            raise AssetRefused(f"{path.name} is cut off inside its header, at {size:,} bytes", hint=_AGAIN)
        text = file.read(length)
    tensors, metadata, end = _parse(path.name, text)
    whole = LENGTH.size + length + end
    if size < whole:
        raise AssetRefused(f"{path.name} is cut off: it has {size:,} of {whole:,} bytes", hint=_AGAIN)
    if size > whole:
        raise AssetRefused(f"{path.name} has {size - whole:,} bytes that its header does not explain", hint=_AGAIN)
    return Header(path.name, tensors, metadata)


def _first_look(start: bytes, size: int) -> str:
    if size == 0:
        return "it is empty"
    if start[:2] in (b"PK", b"\x80\x02"):
        return "it looks like a pickled .ckpt or .pt file, which can run code and is not loaded"
    if start.lstrip()[:1] == b"<":
        return "it looks like a web page, perhaps the answer of a server that wanted a login"
    return "it does not start with the length of a header"


def _parse(name: str, text: bytes) -> tuple[dict[str, TensorInfo], dict[str, str], int]:
    """Return tensors, metadata, and where the data ends."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AssetRefused(f"{name} is not a .safetensors file: its header is not JSON", hint=_AGAIN) from error
    if not isinstance(tree, dict):
        raise AssetRefused(f"{name} is not a .safetensors file: its header is not a JSON object", hint=_AGAIN)
    metadata = tree.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise AssetRefused(f"{name} is damaged: its metadata is not a table of texts", hint=_AGAIN)
    tensors: dict[str, TensorInfo] = {}
    end = 0
    for key, entry in tree.items():
        try:
            tensors[key], stop = _tensor(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise AssetRefused(f"{name} is damaged: its header describes {key[:200]!r} wrongly", hint=_AGAIN) from error
        end = max(end, stop)
    return tensors, metadata, end


def _tensor(entry: Mapping[str, object]) -> tuple[TensorInfo, int]:
    """Return a tensor's description and where its bytes end; raises KeyError, TypeError or ValueError."""
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not isinstance(shape, list) or not isinstance(offsets, list):
        raise TypeError("wrong kinds of fields")
    if not all(type(number) is int and number >= 0 for number in (*shape, *offsets)):
        raise ValueError("sizes must be whole numbers")
    begin, end = offsets
    if len(shape) > MOST_DIMENSIONS or end < begin:
        raise ValueError("impossible size")
    if dtype in _BITS and math.prod(shape) * _BITS[dtype] != (end - begin) * 8:
        raise ValueError("the shape does not fit the number of bytes")
    return TensorInfo(dtype, tuple(shape)), end
