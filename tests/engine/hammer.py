"""Programs that other processes run on one cache folder: `python -m tests.engine.hammer put|crowd|full FOLDER ...`."""

import hashlib
import random
import resource
import sys
import time
from pathlib import Path

from engine.cache import Cache
from engine.memory import Memory
from engine.node import Output
from engine.store import Store


class Numbered(Output):
    number: int
    data: bytes


def key_of(number: int) -> str:
    """Return the key of a number."""
    return hashlib.sha256(b"%d" % number).hexdigest()


def numbered(number: int, size: int = 3000) -> Numbered:
    """Return the one right output for a number."""
    return Numbered(number=number, data=(b"%d," % number) * (size // 4))


def put_forever(folder: Path) -> None:
    """Put an entry, say so, and once told to go on write one large entry after another until killed."""
    store = Store(folder, 1 << 30, print)
    store.put(key_of(0), numbered(0))
    print("ready", flush=True)
    sys.stdin.readline()
    number = 1
    while True:
        store.put(key_of(number), numbered(number, 1_000_000))
        number = number % 20 + 1


def crowd(folder: Path, seed: int, seconds: float) -> None:
    """Put, get, prune, clear, list and verify at random; print whatever is wrong."""
    dice = random.Random(seed)
    store = Store(folder, 60_000, lambda text: print("warned:", text))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        number = dice.randrange(40)
        match dice.randrange(12):
            case 0:
                store.prune()
            case 1 if dice.random() < 0.1:
                store.clear()
            case 2:
                bad = [checked for checked in store.verify() if checked.problem]
                if bad:
                    print("torn:", bad)
            case 3:
                store.entries()
            case 4:
                store.remove(key_of(number))
            case 5 | 6 | 7:
                store.put(key_of(number), numbered(number))
            case _:
                got = store.get(key_of(number), Numbered)
                if got is not None and got != numbered(number):
                    print("wrong:", number)


def put_all(folder: Path, first: int, last: int) -> None:
    """Put a range of entries through a cache."""
    with Cache(Memory(0), Store(folder, 1 << 30, print), print) as cache:
        for number in range(first, last):
            cache.put(key_of(number), numbered(number), stored=True, about="Numbered")


def fill(folder: Path, largest: int) -> None:
    """Put entries when no file may grow over `largest` bytes, as on a full disk; then small ones still work."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    store = Store(folder, 1 << 30, lambda text: print("warned:", text))
    for number in range(1, 4):
        store.put(key_of(number), numbered(number, 10 * largest))
    store.put(key_of(4), numbered(4, 100))
    print("got:", [number for number in range(1, 5) if store.get(key_of(number), Numbered) is not None])


def leave(folder: Path) -> None:
    """End without closing the cache."""
    cache = Cache(Memory(0), Store(folder, 1 << 30, print), print)
    for number in range(20):
        cache.put(key_of(number), numbered(number), stored=True, about="Numbered")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["put", folder]:
            put_forever(Path(folder))
        case ["crowd", folder, seed, seconds]:
            crowd(Path(folder), int(seed), float(seconds))
        case ["range", folder, first, last]:
            put_all(Path(folder), int(first), int(last))
        case ["full", folder, largest]:
            fill(Path(folder), int(largest))
        case ["leave", folder]:
            leave(Path(folder))
