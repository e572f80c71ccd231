"""Outputs as bytes: a safetensors file that any tool can open, with a digest over every byte of it.

8 bytes             length of the header, little-endian
header              JSON: each buffer's dtype, shape and place, and `__metadata__`, all of it text:
    about               a few words for people
    format              of this container
    key                 the cache key that the outputs belong to
    schema              digest of the declared types
    sha256              digest of the file, counted with zeros in its own place
    tree                JSON: everything that is not a buffer
data                the buffers, end to end
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Final, TypeVar

from engine.node import Output
from engine.scalars import Buffer, CorruptBlob, OutdatedBlob, Stored, Unstorable, Written
from engine.shapes import ITEM_SIZE, ports_of
from engine.values import Json

__all__ = ["CorruptBlob", "OutdatedBlob", "Unstorable", "check", "decode", "encode"]

Out = TypeVar("Out", bound=Output)

FORMAT: Final = "nova-graph outputs 1"
_PREFIX: Final = 8
_DIGEST_FIELD: Final = b'"sha256":"'
_NO_DIGEST: Final = "0" * 64


def encode(output: Output, *, key: str = "", about: str = "") -> bytes:
    """Write outputs as one safetensors file; raises Unstorable where they hold something else than declared."""
    cls = type(output)
    buffers: Written = {}
    try:
        trees = [shape.write(getattr(output, name), name, buffers) for name, shape in ports_of(cls).items()]
        tree = json.dumps(trees, separators=(",", ":"), allow_nan=False)
    except RecursionError as error:
        raise Unstorable(f"{cls.__name__} is nested too deep") from error
    metadata = {
        "about": about.encode("utf-8", "replace").decode(),
        "format": FORMAT,
        "key": key,
        "schema": _schema(cls),
        "sha256": _NO_DIGEST,
        "tree": tree,
    }
    # Wide items first, so that each buffer starts at a multiple of its item's size.
    placed = sorted(buffers.items(), key=lambda pair: -ITEM_SIZE[pair[1].dtype])
    header = _header(metadata, placed)
    start = header.index(_DIGEST_FIELD) + len(_DIGEST_FIELD)
    parts = [len(header).to_bytes(_PREFIX, "little"), header, *(buffer.data for _, buffer in placed)]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    parts[1] = header[:start] + digest.hexdigest().encode() + header[start + 64 :]
    return b"".join(parts)


def decode(data: bytes, output_class: type[Out], *, key: str = "") -> Out:
    """Read what `encode` wrote for this class and key; raises CorruptBlob for anything else.

    That is an OutdatedBlob where the class was declared otherwise then.
    """
    blob = check(data, key=key)
    try:
        return _read(blob, output_class)
    except CorruptBlob:
        raise
    except Exception as error:
        # A class may refuse its fields with any error it likes.
        raise CorruptBlob(f"it does not hold a {output_class.__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Blob:
    """A file whose digest is right: its metadata and its buffers, not yet read."""

    metadata: dict[str, str]
    buffers: Stored


def check(data: bytes, *, key: str | None = None) -> Blob:
    """Open a file that `encode` wrote, for this key if one is given; raises CorruptBlob for anything else."""
    length = int.from_bytes(data[:_PREFIX], "little")
    if len(data) < _PREFIX or length > len(data) - _PREFIX:
        raise CorruptBlob("it is cut short")
    header = data[_PREFIX : _PREFIX + length]
    start = header.find(_DIGEST_FIELD) + len(_DIGEST_FIELD)
    digest = hashlib.sha256(data[: _PREFIX + start])
    digest.update(_NO_DIGEST.encode())
    digest.update(memoryview(data)[_PREFIX + start + 64 :])
    if digest.hexdigest().encode() != header[start : start + 64]:
        raise CorruptBlob("its digest is wrong")
    metadata, tensors = _parse_header(header)
    if metadata.get("format") != FORMAT:
        raise CorruptBlob("it is in another format")
    if key is not None and metadata.get("key") != key:
        raise CorruptBlob("it belongs to another key")
    return Blob(metadata, _place(tensors, memoryview(data)[_PREFIX + length :]))


def read_metadata(header: bytes) -> dict[str, str]:
    """Return the metadata of a header, unchecked; raises CorruptBlob where it is no header."""
    return _parse_header(header)[0]


@lru_cache(maxsize=1024)
def _schema(cls: type[Output]) -> str:
    ports = ports_of(cls).items()
    words = f"{cls.__qualname__}({','.join(f'{name}:{shape.describe(frozenset())}' for name, shape in ports)})"
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _header(metadata: dict[str, str], placed: list[tuple[str, Buffer]]) -> bytes:
    header: dict[str, Json] = {"__metadata__": dict(metadata)}
    end = 0
    for name, buffer in placed:
        start, end = end, end + len(buffer.data)
        header[name] = {"dtype": buffer.dtype, "shape": list(buffer.shape), "data_offsets": [start, end]}
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _parse_header(header: bytes) -> tuple[dict[str, str], dict[str, Json]]:
    try:
        parsed = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise CorruptBlob("its header is not JSON") from error
    metadata = parsed.pop("__metadata__", None) if type(parsed) is dict else None
    if type(metadata) is not dict or not all(type(text) is str for text in metadata.values()):
        raise CorruptBlob("its header has no metadata")
    return metadata, parsed


def _place(tensors: dict[str, Json], data: memoryview) -> Stored:
    """Cut the data into its buffers; they must lie end to end and be as long as their shapes say."""
    places = sorted((*_extent(tensor), name) for name, tensor in tensors.items())
    end = 0
    buffers: Stored = {}
    for start, stop, name in places:
        if start != end:
            raise CorruptBlob("its buffers do not lie end to end")
        end = stop
        buffers[name] = data[start:stop]
    if end != len(data):
        raise CorruptBlob("its data is longer or shorter than its header says")
    return buffers


def _extent(tensor: Json) -> tuple[int, int]:
    match tensor:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(start), int(stop)]}:
            whole = all(type(length) is int and length >= 0 for length in shape)
            if dtype in ITEM_SIZE and whole and stop - start == prod(shape) * ITEM_SIZE[dtype]:
                return start, stop
    raise CorruptBlob("its header describes an impossible buffer")


def _read(blob: Blob, cls: type[Out]) -> Out:
    if blob.metadata.get("schema") != _schema(cls):
        raise OutdatedBlob(f"it was written for another {cls.__name__}")
    shapes = ports_of(cls)
    trees = json.loads(blob.metadata["tree"])
    if type(trees) is not list or len(trees) != len(shapes):
        raise CorruptBlob("it has another number of ports")
    pairs = zip(shapes.items(), trees, strict=True)
    ports = {name: shape.read(tree, blob.buffers) for (name, shape), tree in pairs}
    if blob.buffers:
        raise CorruptBlob("it holds buffers that belong to nothing")
    return cls(**ports)
