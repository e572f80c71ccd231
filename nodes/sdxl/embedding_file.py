"""What an embedding file holds: vectors for both text encoders, told from its header alone."""

from dataclasses import dataclass
from pathlib import Path

from engine.errors import AssetRefused
from nodes.sdxl.checkpoint import is_lora
from nodes.sdxl.header import Header, TensorInfo, read_header

MOST_VECTORS = 75
"""As many as a chunk of a prompt has places."""

_PAIRS = (("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1"))
"""The names of both tensors: those of kohya's scripts, A1111 and ComfyUI, and those of diffusers' advanced training."""

_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
_SD1_WIDTH, _SD2_WIDTH = 768, 1024
_HINT = "Choose an embedding that was trained for SDXL: a file with the tensors clip_l and clip_g."


@dataclass(frozen=True, slots=True)
class EmbeddingFile:
    """The names of the vectors [vectors, width] for the first and the second text encoder."""

    name: str
    tensors: tuple[str, str]
    vectors: int
    widths: tuple[int, int]


def inspect_embedding(path: Path) -> EmbeddingFile:
    """Read what an embedding holds; raises AssetMissing, or AssetRefused where it is none for SDXL."""
    header = read_header(path)
    pair = next((pair for pair in _PAIRS if all(name in header.tensors for name in pair)), None)
    if pair is None:
        raise AssetRefused(f"{header.name} {_instead(header)}", hint=_HINT)
    (vectors, width), (others, width_2) = (_size(header, name) for name in pair)
    if vectors != others:
        raise AssetRefused(
            f"{header.name} has {vectors} vectors for the first text encoder and {others} for the second", hint=_HINT
        )
    if not 1 <= vectors <= MOST_VECTORS:
        raise AssetRefused(
            f"{header.name} has {vectors} vectors, where 1 to {MOST_VECTORS} fit into a prompt's chunk", hint=_HINT
        )
    return EmbeddingFile(header.name, pair, vectors, (width, width_2))


def _size(header: Header, name: str) -> tuple[int, int]:
    """Return how many vectors a tensor has, and of how many numbers; one vector may lack its first dimension."""
    found = header.tensors[name]
    if found.dtype not in _FLOATS or len(found.shape) not in (1, 2):
        raise AssetRefused(
            f"{header.name} is damaged: {name} is {found.dtype} {list(found.shape)}, not a row of vectors", hint=_HINT
        )
    return (1, found.shape[0]) if len(found.shape) == 1 else (found.shape[0], found.shape[1])


def _instead(header: Header) -> str:
    """Say what a file is that does not have vectors for both encoders."""
    if is_lora(header):
        return "is a LoRA, not an embedding"
    widths = {_width(found) for found in header.tensors.values()}
    if widths == {_SD1_WIDTH}:
        return "is a Stable Diffusion 1.5 embedding, not SDXL: it has vectors of 768 numbers for one text encoder"
    if widths == {_SD2_WIDTH}:
        return "is a Stable Diffusion 2.x embedding, not SDXL: it has vectors of 1024 numbers for one text encoder"
    lacking = [other for pair in _PAIRS for name, other in (pair, pair[::-1]) if name in header.tensors]
    if lacking:
        return f"is not an SDXL embedding: it lacks {lacking[0]}, the vectors for the other text encoder"
    return "is not an SDXL embedding: it has no tensors clip_l and clip_g"


def _width(found: TensorInfo) -> int:
    return found.shape[-1] if len(found.shape) in (1, 2) else 0
