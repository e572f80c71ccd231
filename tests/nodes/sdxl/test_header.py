"""A header is believed only where it fits the file."""

import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from engine.errors import AssetMissing, AssetRefused
from nodes.sdxl.header import LARGEST_HEADER, TensorInfo, read_header

ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def packed(tree: object, data: bytes = bytes(24)) -> bytes:
    """Return the bytes of a .safetensors file."""
    text = json.dumps(tree).encode()
    return struct.pack("<Q", len(text)) + text + data


GOOD = packed({"__metadata__": {"modelspec.title": "x"}, "a": ENTRY})


def test_a_good_header_is_read(tmp_path: Path) -> None:
    path = tmp_path / "good.safetensors"
    path.write_bytes(GOOD)
    header = read_header(path)
    assert header.tensors == {"a": TensorInfo("F32", (2, 3))}
    assert header.metadata == {"modelspec.title": "x"}


def test_a_header_may_be_long_with_the_notes_of_a_training(tmp_path: Path) -> None:
    path = tmp_path / "noted.safetensors"
    path.write_bytes(packed({"__metadata__": {"ss_tag_frequency": "x" * 40_000_000}, "a": ENTRY}))
    with safe_open(path, "numpy") as library:
        assert read_header(path).tensors.keys() == set(library.keys())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it is empty"),
        (b"abc", "does not start with the length of a header"),
        (b"\xff" * 100, "does not start with the length of a header"),
        (struct.pack("<Q", LARGEST_HEADER + 1) + bytes(100), "does not start with the length of a header"),
        (b"PK\x03\x04" + bytes(1) * 4 + b"data.pkl", "pickled .ckpt or .pt file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (struct.pack("<Q", 5000) + b"{", "cut off inside its header"),
        (GOOD[:-1], f"cut off: it has {len(GOOD) - 1} of {len(GOOD)} bytes"),
        (GOOD + b"more", "4 bytes that its header does not explain"),
        (struct.pack("<Q", 4) + b"nope", "its header is not JSON"),
        (struct.pack("<Q", 200_000) + b"[" * 200_000, "its header is not JSON"),
        (struct.pack("<Q", 4) + b"[12]", "not a JSON object"),
        (packed({"__metadata__": {"a": 1}}), "its metadata is not a table of texts"),
        (packed({"a": 1}), "describes 'a' wrongly"),
        (packed({"a": {**ENTRY, "dtype": 7}}), "describes 'a' wrongly"),
        (packed({"a": {**ENTRY, "shape": [2, -3]}}), "describes 'a' wrongly"),
        (packed({"a": {**ENTRY, "shape": [2, 4]}}), "describes 'a' wrongly"),
        (packed({"a": {**ENTRY, "shape": [10**400, 10**400]}}), "describes 'a' wrongly"),
        (packed({"a": {**ENTRY, "data_offsets": [24, 0]}}), "describes 'a' wrongly"),
        (packed({"a": {**ENTRY, "data_offsets": [0]}}), "describes 'a' wrongly"),
        (packed({"a": {**ENTRY, "data_offsets": [True, 24]}}), "describes 'a' wrongly"),
    ],
)
def test_a_bad_file_is_refused_with_its_reason(content: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(AssetRefused, match=complaint) as caught:
        read_header(path)
    assert "bad.safetensors" in str(caught.value)
    assert "Download the file again" in str(caught.value)


def test_no_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AssetMissing, match="nowhere"):
        read_header(tmp_path / "nowhere")
    with pytest.raises(AssetMissing, match="there is no file"):
        read_header(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(cut=st.integers(0, len(GOOD)), position=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_damage_is_refused_or_harmless(cut: int, position: int, byte: int, tmp_path: Path) -> None:
    damaged = bytearray(GOOD)
    damaged[position] = byte
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(damaged[:cut])
    try:
        header = read_header(path)
    except AssetRefused:
        return
    assert cut == len(GOOD)
    assert sum(len(info.shape) for info in header.tensors.values()) <= 2
