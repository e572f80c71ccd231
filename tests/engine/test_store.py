"""The folder store: whole entries or none, whatever happens to the folder or the process."""

import os
import random
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import CacheError
from engine.node import Output
from engine.shelf import discard
from engine.store import Store
from tests.engine.hammer import Numbered, key_of, numbered

ROOT = Path(__file__).resolve().parents[2]
KEY = key_of(1)


class Other(Output):
    number: int
    data: bytes


class Anything(Output):
    value: object


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, warnings: list[str]) -> Store:
    return Store(tmp_path / "cache", 1 << 20, warnings.append)


def file_of(store: Store, key: str = KEY) -> Path:
    return store.folder / "v1" / key[:2] / f"{key}.safetensors"


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.engine.hammer", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def let_go(*writers: subprocess.Popen[str]) -> None:
    """Wait until each has put something, then let all of them go on."""
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()


def finish(process: subprocess.Popen[str]) -> str:
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    return printed


def test_what_is_put_is_got_also_later(store: Store, warnings: list[str]) -> None:
    assert store.get(KEY, Numbered) is None
    assert not store.has(KEY)
    store.put(KEY, numbered(1))
    assert store.has(KEY)
    assert store.get(KEY, Numbered) == numbered(1)
    assert Store(store.folder, 1 << 20, warnings.append).get(KEY, Numbered) == numbered(1)
    assert warnings == []


def test_looking_makes_no_folder(store: Store) -> None:
    store.get(KEY, Numbered)
    assert store.entries() == ()
    assert (store.usage(), store.prune(), store.clear(), store.remove(KEY)) == ((0, 0), 0, 0, False)
    assert list(store.verify()) == []
    assert not store.folder.exists()


def test_entries_tell_what_they_are(store: Store) -> None:
    store.put(key_of(1), numbered(1), "Decode")
    store.put(key_of(2), numbered(2), "Sampler")
    os.utime(file_of(store, key_of(1)), (1000, 1000))
    sampler, decode = store.entries()
    assert (decode.key, decode.about, decode.used) == (key_of(1), "Decode", 1000)
    assert (sampler.key, sampler.about, sampler.size) == (
        key_of(2),
        "Sampler",
        file_of(store, key_of(2)).stat().st_size,
    )
    assert store.usage() == (2, sampler.size + decode.size)


def test_removing_one_leaves_the_others(store: Store) -> None:
    for number in range(5):
        store.put(key_of(number), numbered(number))
    assert store.remove(key_of(2))
    assert [store.get(key_of(number), Numbered) for number in (0, 1, 3, 4)] == [numbered(n) for n in (0, 1, 3, 4)]
    assert store.get(key_of(2), Numbered) is None


def test_clear_removes_all(store: Store) -> None:
    for number in range(5):
        store.put(key_of(number), numbered(number))
    assert store.clear() == 5
    assert files_in(store.folder) == []
    store.put(KEY, numbered(1))
    assert store.get(KEY, Numbered) == numbered(1)


@pytest.mark.parametrize(
    "key", ["", "a", "../" + "a" * 61, "A" * 64, "g" * 64, "a" * 63 + "/", "a" * 65, "a" * 64 + "\n"]
)
def test_only_keys_are_keys(store: Store, key: str) -> None:
    for call in (lambda: store.get(key, Numbered), lambda: store.put(key, numbered(1)), lambda: store.remove(key)):
        with pytest.raises(ValueError, match="not a cache key"):
            call()


def test_files_are_private(store: Store) -> None:
    store.put(KEY, numbered(1))
    folders = [store.folder, store.folder / "v1", file_of(store).parent]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3
    assert stat.S_IMODE(file_of(store).stat().st_mode) == 0o600


# Bad files


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_with_link(path: Path) -> None:
    target = path.parent.parent.parent / "target"
    path.rename(target)
    path.symlink_to(target)


def replace_with_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_with_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def enlarge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize("spoil", [cut, flip, empty, replace_with_link, replace_with_pipe, enlarge])
def test_a_bad_file_is_a_miss_with_a_warning_and_goes(
    store: Store, warnings: list[str], spoil: Callable[[Path], None]
) -> None:
    store.put(KEY, numbered(1))
    spoil(file_of(store))
    assert store.get(KEY, Numbered) is None
    assert [str(file_of(store)) in warning for warning in warnings] == [True]
    assert not store.has(KEY)
    assert [path.name for path in files_in(store.folder) if path.name != "target"] == []
    store.put(KEY, numbered(1))
    assert store.get(KEY, Numbered) == numbered(1)
    assert len(warnings) == 1


def test_the_target_of_a_link_is_left_alone(store: Store) -> None:
    store.put(KEY, numbered(1))
    replace_with_link(file_of(store))
    store.get(KEY, Numbered)
    assert (store.folder / "target").exists()


def test_a_folder_in_the_place_of_a_file_is_a_miss(store: Store, warnings: list[str]) -> None:
    store.put(KEY, numbered(1))
    replace_with_folder(file_of(store))
    assert store.get(KEY, Numbered) is None
    assert len(warnings) == 1


def test_the_file_of_another_key_or_type_is_a_miss(store: Store, warnings: list[str]) -> None:
    store.put(KEY, numbered(1))
    file_of(store, key_of(2)).parent.mkdir(exist_ok=True)
    file_of(store, key_of(2)).write_bytes(file_of(store).read_bytes())
    assert store.get(key_of(2), Numbered) is None
    assert len(warnings) == 1
    # A class that is declared otherwise than when the file was written is no damage.
    assert store.get(KEY, Other) is None
    assert not store.has(KEY)
    assert len(warnings) == 1


def test_a_linked_folder_is_neither_read_nor_written(store: Store, warnings: list[str], tmp_path: Path) -> None:
    store.put(KEY, numbered(1))
    outside = tmp_path / "outside"
    file_of(store).parent.rename(outside)
    file_of(store).parent.symlink_to(outside)
    assert store.get(KEY, Numbered) is None
    store.put(KEY, numbered(1))
    with pytest.raises(CacheError):
        store.remove(KEY)
    assert (store.clear(), store.prune()) == (0, 0)
    assert [path.name for path in files_in(outside)] == [f"{KEY}.safetensors"]
    assert len(warnings) == 2


def test_a_good_file_that_came_meanwhile_is_not_thrown_away(store: Store) -> None:
    store.put(KEY, numbered(1))
    bad = file_of(store).stat().st_ino
    store.put(KEY, numbered(1))
    discard(file_of(store), bad)
    assert store.get(KEY, Numbered) == numbered(1)
    assert files_in(store.folder) == [file_of(store)]


def test_verify_reports_and_leaves(store: Store) -> None:
    for number in range(4):
        store.put(key_of(number), numbered(number))
    cut(file_of(store, key_of(1)))
    file_of(store, key_of(2)).write_bytes(file_of(store, key_of(3)).read_bytes())
    problems = {checked.key: checked.problem for checked in store.verify()}
    assert problems == {
        key_of(0): "",
        key_of(1): "its digest is wrong",
        key_of(2): "it belongs to another key",
        key_of(3): "",
    }
    assert store.usage()[0] == 4


def test_entries_survive_bad_files(store: Store) -> None:
    for number, spoil in enumerate([cut, empty, enlarge]):
        store.put(key_of(number), numbered(number), "Decode")
        spoil(file_of(store, key_of(number)))
    file_of(store, key_of(9)).parent.mkdir(exist_ok=True)
    file_of(store, key_of(9)).write_bytes(b"\xff" * 100)
    assert [entry.about for entry in sorted(store.entries(), key=lambda entry: entry.size)] == [
        "",
        "",
        "Decode",
        "Decode",
    ]


def test_strange_files_are_left_alone(store: Store) -> None:
    store.put(KEY, numbered(1))
    strangers = [
        store.folder / "notes.txt",
        store.folder / "v1" / "notes.txt",
        file_of(store).parent / "notes.txt",
        file_of(store).parent / f"{'0' * 64}.safetensors",
        file_of(store).parent / KEY,
    ]
    for stranger in strangers:
        stranger.write_text("mine")
    assert store.usage()[0] == 1
    store.clear()
    assert files_in(store.folder) == sorted(strangers)


def test_what_cannot_be_stored_is_said_once(store: Store, warnings: list[str]) -> None:
    store.put(KEY, Anything(value=object()), "Anything")
    store.put(key_of(2), Anything(value=object()), "Anything")
    assert len(warnings) == 1
    assert "Anything" in warnings[0]
    assert not store.has(KEY)


# Room


def test_the_least_recently_used_are_pruned(tmp_path: Path, warnings: list[str]) -> None:
    large = Store(tmp_path, 1 << 20, warnings.append)
    for number in range(10):
        large.put(key_of(number), numbered(number))
        os.utime(file_of(large, key_of(number)), (number, number))
    assert large.get(key_of(0), Numbered) is not None
    size = file_of(large).stat().st_size
    small = Store(tmp_path, 4 * size + size // 2, warnings.append)
    assert small.prune() >= 5 * size
    assert [number for number in range(10) if small.has(key_of(number))] == [0, 7, 8, 9]
    assert small.prune() == 0


def test_it_stays_within_the_limit_and_keeps_the_newest(tmp_path: Path, warnings: list[str]) -> None:
    store = Store(tmp_path, 50_000, warnings.append)
    for number in range(100):
        store.put(key_of(number), numbered(number))
        assert store.get(key_of(number), Numbered) == numbered(number)
        assert store.usage()[1] <= 50_000
    assert store.usage()[0] > 5
    assert warnings == []


def test_what_was_just_written_stays_though_its_clock_is_behind(tmp_path: Path, warnings: list[str]) -> None:
    store = Store(tmp_path, 10_000, warnings.append)
    tomorrow = time.time() + 86_400
    for number in range(10):
        store.put(key_of(number), numbered(number))
        assert store.has(key_of(number))
        os.utime(file_of(store, key_of(number)), (tomorrow, tomorrow))


def test_what_is_larger_than_the_limit_is_not_stored(tmp_path: Path, warnings: list[str]) -> None:
    store = Store(tmp_path, 10_000, warnings.append)
    store.put(key_of(1), numbered(1))
    store.put(key_of(2), numbered(2, 50_000))
    store.put(key_of(3), numbered(3, 50_000))
    assert [store.has(key_of(number)) for number in (1, 2, 3)] == [True, False, False]
    assert len(warnings) == 1


# Killed writers, other processes


def test_a_writer_killed_at_any_moment_leaves_whole_entries(tmp_path: Path, warnings: list[str]) -> None:
    dice = random.Random(7)
    left_overs = 0
    for _ in range(10):
        writers = [start("put", tmp_path) for _ in range(3)]
        let_go(*writers)
        for writer in writers:
            time.sleep(dice.random() * 0.03)
            writer.kill()
            writer.communicate()
        left_overs += sum(path.suffix == ".tmp" for path in files_in(tmp_path))
        store = Store(tmp_path, 1 << 30, warnings.append)
        assert [checked for checked in store.verify() if checked.problem] == []
        store.put(key_of(99), numbered(99))
        assert [path for path in files_in(tmp_path) if path.suffix != ".safetensors"] == []
    assert left_overs > 0
    assert warnings == []


def test_what_a_living_writer_is_at_is_not_swept(tmp_path: Path, warnings: list[str]) -> None:
    writer = start("put", tmp_path)
    let_go(writer)
    for _ in range(100):
        Store(tmp_path, 1 << 30, warnings.append).prune()
    assert writer.poll() is None
    writer.kill()
    assert writer.communicate()[0] == ""
    assert warnings == []


def test_processes_share_a_folder(tmp_path: Path) -> None:
    crowd = [start("crowd", tmp_path, seed, 2) for seed in range(3)]
    assert [finish(process) for process in crowd] == ["", "", ""]
    store = Store(tmp_path, 1 << 20, print)
    assert [checked for checked in store.verify() if checked.problem] == []
    store.prune()
    assert [path for path in files_in(tmp_path) if path.suffix != ".safetensors"] == []


def test_no_entry_of_two_processes_is_lost(tmp_path: Path) -> None:
    both = [start("range", tmp_path, 0, 60), start("range", tmp_path, 40, 100)]
    assert [finish(process) for process in both] == ["", ""]
    store = Store(tmp_path, 1 << 30, print)
    assert [number for number in range(100) if store.get(key_of(number), Numbered) != numbered(number)] == []


# Disks that do not work


def test_a_file_that_cannot_grow_is_one_warning(tmp_path: Path) -> None:
    warned, got = finish(start("full", tmp_path, 5000)).splitlines()
    assert warned.startswith(f"warned: cannot write to the cache folder {tmp_path}")
    assert got == "got: [4]"
    assert [path.name for path in files_in(tmp_path)] == [f"{key_of(4)}.safetensors"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_warning(tiny_disk: Path, warnings: list[str]) -> None:
    store = Store(tiny_disk / "cache", 1 << 20, warnings.append)
    for number in range(30):
        store.put(key_of(number), numbered(number, 6000))
    kept = [number for number in range(30) if store.has(key_of(number))]
    assert 0 < len(kept) < 30
    assert all(store.get(key_of(number), Numbered) == numbered(number, 6000) for number in kept)
    assert all(path.suffix == ".safetensors" for path in files_in(tiny_disk))
    assert len(warnings) == 1
    assert "No space left on device" in warnings[0]


def test_a_read_only_disk_is_one_warning_and_still_read(tiny_disk: Path, warnings: list[str]) -> None:
    Store(tiny_disk, 1 << 20, warnings.append).put(KEY, numbered(1))
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    store = Store(tiny_disk, 1 << 20, warnings.append)
    assert store.get(KEY, Numbered) == numbered(1)
    for number in range(2, 5):
        store.put(key_of(number), numbered(number))
        assert store.get(key_of(number), Numbered) is None
    assert len(warnings) == 1
    with pytest.raises(CacheError):
        store.clear()


@pytest.mark.parametrize("place", ["", "v1", f"v1/{KEY[:2]}"])
def test_a_file_in_the_place_of_a_folder_is_one_warning(tmp_path: Path, warnings: list[str], place: str) -> None:
    folder = tmp_path / "cache"
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")
    store = Store(folder, 1 << 20, warnings.append)
    for _ in range(2):
        store.put(KEY, numbered(1))
        assert store.get(KEY, Numbered) is None
    assert len(warnings) == 1
    assert str(folder) in warnings[0]


@pytest.fixture
def locked_out(store: Store) -> Iterator[Store]:
    """Lock a folder, and give up the right to read everything if this process has it."""
    store.put(KEY, numbered(1))
    (store.folder / "v1").chmod(0)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield store
    os.seteuid(before)
    (store.folder / "v1").chmod(0o700)


def test_a_folder_without_permission_is_said_once_or_an_error_if_asked(locked_out: Store, warnings: list[str]) -> None:
    store = locked_out
    assert store.get(KEY, Numbered) is None
    assert store.get(key_of(2), Numbered) is None
    store.put(key_of(2), numbered(2))
    store.put(key_of(3), numbered(3))
    assert len(warnings) == 2
    for ask in (store.usage, store.clear, store.prune, lambda: store.remove(KEY), lambda: list(store.verify())):
        with pytest.raises(CacheError, match="Permission denied"):
            ask()


def test_asking_about_a_folder_that_is_none_is_an_error(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "cache").write_text("in the way")
    store = Store(tmp_path / "cache", 1 << 20, warnings.append)
    for ask in (store.entries, store.usage, store.clear, store.prune, lambda: list(store.verify())):
        with pytest.raises(CacheError, match="Not a directory"):
            ask()
