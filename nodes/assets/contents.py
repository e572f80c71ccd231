"""What a file must look like to be taken for weights."""

import zipfile
from pathlib import Path

from engine.errors import AssetRefused
from nodes.sdxl.header import LARGEST_HEADER, LENGTH, read_header

_PICKLES = frozenset({".pt", ".pth", ".ckpt", ".bin", ".pkl"})
_ZIP = b"PK\x03\x04"


def check_suffix(path: Path, kind: str, allow_pickle: bool) -> None:
    """Refuse all but .safetensors; a detector may be a .pt file where the user allowed pickles. Raises AssetRefused."""
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return
    if suffix not in _PICKLES:
        raise AssetRefused(f"{path.name} is no {kind}", hint="Weights are files that end in .safetensors.")
    why = f"{path.name} is a pickle, and a pickle can run any program when it is opened"
    if kind == "upscaler":
        raise AssetRefused(why, hint="Use a .safetensors file of it, or write one; docs/checkpoints.md tells how.")
    if kind != "detector":
        raise AssetRefused(why, hint="Use the .safetensors file that most authors publish beside it.")
    if suffix != ".pt":
        raise AssetRefused(why, hint="Use a .safetensors detector, or a .pt file with NOVA_ALLOW_PICKLE=1.")
    if not allow_pickle:
        raise AssetRefused(why, hint="If you trust where it comes from, set NOVA_ALLOW_PICKLE=1.")


def check_content(path: Path, suffix: str, name: str) -> None:
    """Check that a file is whole and what its suffix says, without reading the weights; `name` is for the message.

    Raises AssetRefused, OSError.
    """
    if suffix.lower() == ".safetensors":
        try:
            read_header(path)
        except AssetRefused as error:
            raise AssetRefused(error.message.replace(path.name, name), hint=error.hint) from None
    elif suffix.lower() == ".pt" and not zipfile.is_zipfile(path):
        raise AssetRefused(f"{name} is not a whole .pt file", hint="Download it again.")


def check_start(data: bytes, suffix: str) -> str:
    """Say what is wrong with the first bytes of a file; empty if nothing is, or there are too few to tell."""
    if suffix.lower() == ".safetensors" and len(data) > LENGTH.size:
        length = LENGTH.unpack_from(data)[0]
        if data[LENGTH.size : LENGTH.size + 1] == b"{" and length <= LARGEST_HEADER:
            return ""  # before the next test, because a length may begin with any byte
    if data.lstrip()[:1] == b"<":
        return "a web page came instead of a file"
    if suffix.lower() == ".safetensors" and len(data) > LENGTH.size:
        return "what came is not a safetensors file"
    if suffix.lower() == ".pt" and data[: len(_ZIP)] != _ZIP[: len(data)]:
        return "what came is not a .pt file"
    return ""
