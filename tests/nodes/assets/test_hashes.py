"""The sha256 of a file is computed once, and never again believed when the file may have changed."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from engine.errors import AssetRefused
from nodes.assets import Settings
from nodes.assets.hashes import HashIndex
from tests.nodes.assets.shop import assets_of, found, put, settle, weights

LONG_AGO = time.time_ns() - 3_600_000_000_000


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    settle(path)
    return path


def blocks_read(index: HashIndex, path: Path) -> tuple[str, int]:
    blocks: list[None] = []
    digest = index.sha256(path, lambda _read: blocks.append(None))
    return digest, len(blocks)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_file_is_read_once_also_by_another_process(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", b"one")
    assert blocks_read(HashIndex(tmp_path / "hashes"), path) == (sha256(b"one"), 1)
    assert blocks_read(HashIndex(tmp_path / "hashes"), path) == (sha256(b"one"), 0)
    link = tmp_path / "link.safetensors"
    link.symlink_to(path)
    assert blocks_read(HashIndex(tmp_path / "hashes"), link) == (sha256(b"one"), 0)


def renamed(folder: Path, *, written: int) -> Path:
    """Return a file written at a time in nanoseconds that has just got its name."""
    part = folder / "a.part"
    part.write_bytes(b"one")
    os.utime(part, ns=(written, written))
    return part.rename(folder / "a.safetensors")


def test_a_file_hashed_before_it_got_its_name_is_not_read_again(tmp_path: Path) -> None:
    index = HashIndex(tmp_path / "hashes")
    path = renamed(tmp_path, written=LONG_AGO)
    index.note(path, sha256(b"one"))
    assert blocks_read(index, path) == (sha256(b"one"), 0)
    replace_in_disguise(path, b"two")
    assert index.sha256(path) == sha256(b"two")


def test_a_file_server_whose_clock_is_ahead_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"one")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    slept: list[float] = []
    monkeypatch.setattr(time, "time_ns", lambda: LONG_AGO + 60_000_000_000)
    monkeypatch.setattr(time, "sleep", slept.append)
    index = HashIndex(tmp_path / "hashes")
    index.note(path, sha256(b"another"))
    assert 0 < sum(slept) <= 2
    assert blocks_read(index, path) == (sha256(b"one"), 1)


def test_a_file_written_just_before_it_got_its_name_is_read_again(tmp_path: Path) -> None:
    index = HashIndex(tmp_path / "hashes")
    path = renamed(tmp_path, written=time.time_ns() + 60_000_000_000)
    index.note(path, sha256(b"another"))
    assert blocks_read(index, path) == (sha256(b"one"), 1)


def replace_by_rename(path: Path, data: bytes) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(data)
    other.replace(path)


def replace_in_place(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def replace_in_disguise(path: Path, data: bytes) -> None:
    """Keep size, inode and modification time."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("replace", [replace_by_rename, replace_in_place, replace_in_disguise])
def test_a_file_replaced_under_its_name_is_noticed(tmp_path: Path, replace: object) -> None:
    index = HashIndex(tmp_path / "hashes")
    path = write(tmp_path / "a.safetensors", b"one")
    assert index.sha256(path) == sha256(b"one")
    assert callable(replace)
    replace(path, b"two")
    assert index.sha256(path) == sha256(b"two")


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    index = HashIndex(tmp_path / "hashes")
    path = write(tmp_path / "a.safetensors", b"one")
    later = time.time_ns() + 60_000_000_000
    os.utime(path, ns=(later, later))
    assert blocks_read(index, path) == (sha256(b"one"), 1)
    assert blocks_read(index, path) == (sha256(b"one"), 1)


def test_a_file_replaced_at_once_is_noticed_too(tmp_path: Path) -> None:
    index = HashIndex(tmp_path / "hashes")
    path = tmp_path / "a.safetensors"
    for number in range(200):
        data = str(number % 10).encode()
        replace_in_place(path, data)
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
        assert index.sha256(path) == sha256(data)


def test_a_file_changed_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", b"one")
    with pytest.raises(AssetRefused, match=r"is being written to"):
        HashIndex(tmp_path / "hashes").sha256(path, lambda _read: replace_in_place(path, b"two!"))


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"null", b'{"sha256": "x"}', b"\xff"])
def test_a_spoilt_note_is_no_note(tmp_path: Path, note: bytes) -> None:
    index = HashIndex(tmp_path / "hashes")
    path = write(tmp_path / "a.safetensors", b"one")
    index.sha256(path)
    (written,) = (tmp_path / "hashes").iterdir()
    written.write_bytes(note)
    assert blocks_read(index, path) == (sha256(b"one"), 1)
    assert blocks_read(index, path) == (sha256(b"one"), 0)


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", b"one")
    index = HashIndex(path / "hashes")
    assert blocks_read(index, path) == (sha256(b"one"), 1)
    assert blocks_read(index, path) == (sha256(b"one"), 1)


def test_replaced_weights_are_another_asset(settings: Settings) -> None:
    path = put(settings.folders[0] / "anime.safetensors", weights(b"one"))
    settle(path)
    assets = assets_of(settings)
    first = found(assets, "checkpoint", "anime.safetensors")
    put(path, weights(b"two"))
    second = found(assets, "checkpoint", "anime.safetensors")
    assert first.sha256 == sha256(weights(b"one"))
    assert second.sha256 == sha256(weights(b"two"))


def test_weights_cut_after_they_were_known_are_refused(settings: Settings) -> None:
    path = put(settings.folders[0] / "anime.safetensors")
    settle(path)
    found(assets_of(settings), "checkpoint", "anime.safetensors")
    put(path, weights(pad=100)[:-1])
    with pytest.raises(AssetRefused, match=r"is cut off"):
        found(assets_of(settings), "checkpoint", "anime.safetensors")
