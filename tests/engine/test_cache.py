"""Memory and folder together: seen at once, on disk soon, never changed by those who use it."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from threading import Event, Thread
from threading import enumerate as enumerate_threads

import pytest
from pydantic import ValidationError

from engine.cache import Cache, OnDisk
from engine.memory import Memory, size_of
from engine.node import Output
from engine.store import Store
from engine.values import Value
from tests.engine.hammer import Numbered, key_of, numbered

ROOT = Path(__file__).resolve().parents[2]
KEY = key_of(1)


@dataclass(frozen=True, slots=True)
class Picture(Value):
    pixels: bytes
    seeds: tuple[int, ...]


class Drawn(Output):
    picture: Picture


class Other(Output):
    number: int
    data: bytes


class SlowStore(Store):
    """A store on a disk that stands still until `go` is set."""

    go: Event

    def put(self, key: str, output: Output, about: str = "") -> None:
        assert self.go.wait(30)
        super().put(key, output, about)


class CountingStore(SlowStore):
    """A slow store that lists what it has written."""

    written: list[str]

    def put(self, key: str, output: Output, about: str = "") -> None:
        super().put(key, output, about)
        self.written.append(key)


class BrokenStore(Store):
    """A store with a fault of its own."""

    def put(self, key: str, output: Output, about: str = "") -> None:
        raise ArithmeticError(f"no {key[:4]}")


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, warnings: list[str]) -> Store:
    return Store(tmp_path / "cache", 1 << 24, warnings.append)


@pytest.fixture
def slow(tmp_path: Path, warnings: list[str]) -> Iterator[SlowStore]:
    store = SlowStore(tmp_path / "cache", 1 << 24, warnings.append)
    store.go = Event()
    yield store
    store.go.set()


def memory() -> Memory:
    return Memory(1 << 20)


@contextmanager
def opened(store: Store | None, warnings: list[str], budget: int = 1 << 20) -> Iterator[Cache]:
    with Cache(Memory(budget), store, warnings.append) as cache:
        yield cache


def test_a_hit_says_where_it_was(store: Store, warnings: list[str]) -> None:
    with opened(store, warnings) as cache:
        assert cache.get(KEY, Numbered) is None
        cache.put(KEY, numbered(1), stored=True, about="Numbered")
        assert cache.get(KEY, Numbered) == (numbered(1), "memory")
    with opened(store, warnings) as cache:
        assert cache.get(KEY, Numbered) == (numbered(1), "disk")
        assert cache.get(KEY, Numbered) == (numbered(1), "memory")
    assert warnings == []


def test_what_is_on_disk_only_is_not_held(store: Store, warnings: list[str]) -> None:
    with opened(store, warnings) as cache:
        assert cache.get_held(KEY, Numbered) is None
        cache.put(KEY, numbered(1), stored=True, about="Numbered")
        assert cache.get_held(KEY, Numbered) == (numbered(1), "memory")
    with opened(store, warnings) as cache:
        with pytest.raises(OnDisk):
            cache.get_held(KEY, Numbered)
        assert cache.get_held(KEY, Numbered, stored=False) is None
        assert cache.get(KEY, Numbered) == (numbered(1), "disk")
        assert cache.get_held(KEY, Numbered) == (numbered(1), "memory")


def test_a_value_is_visible_before_it_is_written(slow: SlowStore, warnings: list[str]) -> None:
    with opened(slow, warnings, budget=0) as cache:
        cache.put(KEY, numbered(1), stored=True, about="Numbered")
        assert cache.get(KEY, Numbered) == (numbered(1), "memory")
        assert not slow.has(KEY)
        slow.go.set()
        cache.flush()
        assert cache.get(KEY, Numbered) == (numbered(1), "disk")


def test_what_is_not_to_be_stored_is_not(store: Store, warnings: list[str]) -> None:
    with opened(store, warnings) as cache:
        cache.put(KEY, numbered(1), stored=False, about="Numbered")
        assert cache.get(KEY, Numbered) == (numbered(1), "memory")
    assert not store.folder.exists()


def test_without_a_folder_there_is_memory(warnings: list[str]) -> None:
    with opened(None, warnings) as cache:
        cache.put(KEY, numbered(1), stored=True, about="Numbered")
        assert cache.get(KEY, Numbered) == (numbered(1), "memory")
        cache.flush()


def test_closing_writes_everything(store: Store, warnings: list[str]) -> None:
    with opened(store, warnings, budget=0) as cache:
        for number in range(100):
            cache.put(key_of(number), numbered(number), stored=True, about="Numbered")
    assert [number for number in range(100) if store.get(key_of(number), Numbered) != numbered(number)] == []
    assert {entry.about for entry in store.entries()} == {"Numbered"}


def test_closing_after_an_error_writes_what_was_finished(store: Store, warnings: list[str]) -> None:
    def fail() -> None:
        with opened(store, warnings) as cache:
            cache.put(KEY, numbered(1), stored=True, about="Numbered")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert store.get(KEY, Numbered) == numbered(1)


def test_after_closing_there_is_only_memory(store: Store, warnings: list[str]) -> None:
    cache = Cache(memory(), store, warnings.append)
    cache.close()
    cache.put(KEY, numbered(1), stored=True, about="Numbered")
    cache.close()
    assert cache.get(KEY, Numbered) == (numbered(1), "memory")
    assert not store.has(KEY)


def test_a_process_that_forgets_to_close_still_writes_everything(tmp_path: Path, warnings: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "tests.engine.hammer", "leave", str(tmp_path)], cwd=ROOT, check=True)
    assert Store(tmp_path, 1 << 30, warnings.append).usage()[0] == 20


def test_no_thread_stays(store: Store, warnings: list[str]) -> None:
    for number in range(5):
        with opened(store, warnings) as cache:
            cache.put(key_of(number), numbered(number), stored=True, about="Numbered")
            cache.flush()
            cache.put(key_of(number + 10), numbered(number), stored=True, about="Numbered")
    writers = [thread for thread in enumerate_threads() if thread.name == "nova-graph cache"]
    for writer in writers:
        writer.join(30)
    assert not any(writer.is_alive() for writer in writers)
    assert store.usage()[0] == 10


def test_a_full_queue_makes_put_wait_not_memory_grow(slow: SlowStore, warnings: list[str]) -> None:
    two = 2 * size_of(numbered(1))
    cache = Cache(Memory(0), slow, warnings.append, queue_bytes=two)
    for number in range(2):
        cache.put(key_of(number), numbered(number), stored=True, about="Numbered")
    third = Thread(target=lambda: cache.put(key_of(2), numbered(2), stored=True, about="Numbered"))
    third.start()
    third.join(0.1)
    assert third.is_alive()
    assert cache.get(key_of(2), Numbered) is None
    slow.go.set()
    third.join(30)
    cache.close()
    assert slow.usage()[0] == 3


def test_a_key_is_written_once(tmp_path: Path, warnings: list[str]) -> None:
    store = CountingStore(tmp_path, 1 << 24, warnings.append)
    store.go = Event()
    store.written = []
    with Cache(memory(), store, warnings.append, queue_bytes=2 * size_of(numbered(1))) as cache:
        for number in (1, 1, 2, 1, 2):
            cache.put(key_of(number), numbered(number), stored=True, about="Numbered")
        store.go.set()
        cache.flush()
        cache.put(key_of(1), numbered(1), stored=True, about="Numbered")
    assert store.written == [key_of(1), key_of(2)]


def test_what_is_larger_than_the_queue_still_gets_through(store: Store, warnings: list[str]) -> None:
    with Cache(Memory(0), store, warnings.append, queue_bytes=10) as cache:
        for number in range(5):
            cache.put(key_of(number), numbered(number), stored=True, about="Numbered")
    assert store.usage()[0] == 5


def test_a_fault_of_the_store_is_a_warning_and_the_next_is_tried(tmp_path: Path, warnings: list[str]) -> None:
    with opened(BrokenStore(tmp_path, 1 << 20, warnings.append), warnings) as cache:
        for number in range(3):
            cache.put(key_of(number), numbered(number), stored=True, about="Numbered")
    assert warnings == [f"a result of Numbered was not stored: no {key_of(number)[:4]}" for number in range(3)]


def test_a_warning_that_fails_stops_nothing(tmp_path: Path) -> None:
    def warn(text: str) -> None:
        raise ArithmeticError(text)

    with Cache(memory(), BrokenStore(tmp_path, 1 << 20, warn), warn) as cache:
        cache.put(KEY, numbered(1), stored=True, about="Numbered")
    assert cache.get(KEY, Numbered) == (numbered(1), "memory")


def test_a_spoilt_file_is_computed_and_stored_again(store: Store, warnings: list[str]) -> None:
    with opened(store, warnings) as cache:
        cache.put(KEY, numbered(1), stored=True, about="Numbered")
    (file,) = (path for path in store.folder.rglob("*") if path.is_file())
    file.write_bytes(file.read_bytes()[:-1])
    with opened(store, warnings) as cache:
        assert cache.get(KEY, Numbered) is None
        cache.put(KEY, numbered(1), stored=True, about="Numbered")
    assert store.get(KEY, Numbered) == numbered(1)
    assert len(warnings) == 1


def test_another_class_is_no_hit(warnings: list[str]) -> None:
    with opened(None, warnings) as cache:
        cache.put(KEY, numbered(1), stored=True, about="Numbered")
        assert cache.get(KEY, Other) is None


def test_a_consumer_cannot_change_what_is_cached(store: Store, warnings: list[str]) -> None:
    with opened(store, warnings) as cache:
        cache.put(KEY, Drawn(picture=Picture(b"abc", (1, 2))), stored=True, about="Drawn")
        for _ in range(2):
            hit = cache.get(KEY, Drawn)
            assert hit is not None
            drawn = hit[0]
            with pytest.raises(ValidationError):
                drawn.picture = Picture(b"", ())  # type: ignore[misc]
            with pytest.raises(FrozenInstanceError):
                drawn.picture.pixels = b""  # type: ignore[misc]
            with pytest.raises(TypeError):
                drawn.picture.pixels[0] = 1  # type: ignore[index]
            with pytest.raises(TypeError):
                memoryview(drawn.picture.pixels)[0] = 1
            assert cache.get(KEY, Drawn) == (Drawn(picture=Picture(b"abc", (1, 2))), "memory")
            cache.flush()
            cache.memory.clear()


def test_what_comes_from_disk_cannot_be_changed_either(store: Store) -> None:
    store.put(KEY, Drawn(picture=Picture(b"abc", (1, 2))))
    drawn = store.get(KEY, Drawn)
    assert drawn is not None
    assert type(drawn.picture.pixels) is bytes
    assert type(drawn.picture.seeds) is tuple


def test_evicting_one_entry_changes_no_other(store: Store, warnings: list[str]) -> None:
    with opened(store, warnings, budget=3 * size_of(numbered(1))) as cache:
        for number in range(30):
            cache.put(key_of(number), numbered(number), stored=True, about="Numbered")
    for gone in range(0, 30, 3):
        store.remove(key_of(gone))
    cache.memory.clear()
    for number in range(30):
        assert cache.get(key_of(number), Numbered) == (None if number % 3 == 0 else (numbered(number), "disk"))


def test_many_threads_share_one_cache(store: Store, warnings: list[str]) -> None:
    def work(seed: int) -> list[int]:
        wrong = []
        for step in range(100):
            number = (seed * 17 + step) % 30
            hit = cache.get(key_of(number), Numbered)
            if hit is None:
                cache.put(key_of(number), numbered(number), stored=True, about="Numbered")
            elif hit[0] != numbered(number):
                wrong.append(number)
        return wrong

    with opened(store, warnings, budget=10 * size_of(numbered(1))) as cache, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [[], [], [], []]
    assert store.usage()[0] == 30
    assert warnings == []
