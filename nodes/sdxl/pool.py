"""Loaded models kept in memory across runs, under a budget."""

import gc
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from engine.environment import Environment
from engine.values import AnyHandle, Handle, Loading

Live = TypeVar("Live")
Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Resident:
    """One loaded object: what it was loaded from, its weights in bytes, and how many are using it."""

    handle: AnyHandle
    nbytes: int
    users: int


class Pool:
    """Loads the live objects of handles, each at most once, and forgets the longest unused beyond a budget in bytes.

    What is in use is never forgotten, so the budget can be exceeded while it is. Safe to use from several threads.
    """

    def __init__(self, budget_bytes: int, loading: Loading) -> None:
        self._budget = budget_bytes
        self._loading = loading
        self._lock = threading.Lock()
        self._entries: OrderedDict[AnyHandle, _Entry] = OrderedDict()
        """The longest unused first."""

    def resident(self, handle: Handle[Live], warn: Warn | None = None) -> AbstractContextManager[Live]:
        """Lend the live object of a handle, loading it at the first use; `warn` hears what loading has to say.

        Raises whatever loading raises, and then keeps nothing.
        """
        return self._lend(handle, warn or self._loading.warn)

    def clear(self) -> int:
        """Forget everything that is not in use, and return how many bytes that were."""
        with self._lock:
            # Below nothing: what has no weights goes too.
            freed = self._forget(budget=-1)
        _give_back(freed)
        return freed

    def report(self) -> tuple[Resident, ...]:
        """Return what is loaded, the longest unused first."""
        with self._lock:
            loaded = [(handle, entry) for handle, entry in self._entries.items() if entry.ready.is_set()]
            return tuple(Resident(handle, entry.nbytes, entry.users) for handle, entry in loaded)

    @contextmanager
    def _lend(self, handle: Handle[Live], warn: Warn) -> Iterator[Live]:
        entry = self._acquire(handle, warn)
        try:
            yield cast("Live", entry.live)
        finally:
            del entry
            self._release(handle)

    def _acquire(self, handle: AnyHandle, warn: Warn) -> "_Entry":
        """Return a loaded entry, counted as in use."""
        while True:
            with self._lock:
                entry = self._entries.get(handle)
                first = entry is None
                if entry is None:
                    entry = self._entries[handle] = _Entry()
                entry.users += 1
            if first:
                self._load(handle, entry, warn)
            entry.ready.wait()
            if not entry.failed:
                return entry
            # Another thread failed to load it, perhaps because it was cancelled: this one tries for itself.

    def _load(self, handle: AnyHandle, entry: "_Entry", warn: Warn) -> None:
        try:
            live = self._loaded(handle, _Told(self._loading, warn))
            entry.live, entry.nbytes = live, weight_bytes(live)
        except BaseException:
            with self._lock:
                entry.failed = True
                del self._entries[handle]
            raise
        finally:
            entry.ready.set()
        with self._lock:
            freed = self._forget(self._budget)
        _give_back(freed)

    def _loaded(self, handle: AnyHandle, loading: "_Told") -> object:
        try:
            return loading.load(handle)
        except Exception as error:
            if not _is_out_of_memory(error):
                raise
        # Outside of the handler: inside, the traceback would keep what was loaded so far.
        self.clear()
        return loading.load(handle)

    def _release(self, handle: AnyHandle) -> None:
        with self._lock:
            self._entries[handle].users -= 1
            self._entries.move_to_end(handle)
            freed = self._forget(self._budget)
        _give_back(freed)

    def _forget(self, budget: int) -> int:
        """Drop idle entries, the longest unused first, until the rest fits; the lock must be held."""
        total = sum(entry.nbytes for entry in self._entries.values())
        freed = 0
        for handle in [handle for handle, entry in self._entries.items() if entry.users == 0]:
            if total - freed <= budget:
                break
            freed += self._entries.pop(handle).nbytes
        return freed


class _Entry:
    """A live object that is there once `ready` is set, unless it `failed`."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.failed = False
        self.live: object = None
        self.nbytes = 0
        self.users = 0


@dataclass(frozen=True, slots=True)
class _Told:
    """A `Loading` whose warnings go to whoever asked for the object, and that knows which files it was made from."""

    loading: Loading
    warn: Warn
    used: list[str] = field(default_factory=list)

    @property
    def environment(self) -> Environment:
        return self.loading.environment

    def path(self, sha256: str) -> Path:
        self.used.append(sha256)
        return self.loading.path(sha256)

    def check(self, sha256: str) -> None:
        self.loading.check(sha256)

    def load(self, handle: AnyHandle) -> object:
        """Load an object, and look at its files once more: one that changed meanwhile is refused."""
        live = cast("object", handle.load(self))
        for sha256 in self.used:
            self.check(sha256)
        return live


class _Module(Protocol):
    """What a torch module offers for measuring it, so that this file need not import torch."""

    def parameters(self) -> Iterator[Any]: ...
    def buffers(self) -> Iterator[Any]: ...


def weight_bytes(live: object) -> int:
    """Return how many bytes the parameters and buffers of a live object take: of a module, or of all in its fields."""
    if hasattr(live, "parameters") and hasattr(live, "buffers"):
        module = cast("_Module", live)
        tensors = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
        return sum(int(tensor.nelement()) * int(tensor.element_size()) for tensor in tensors.values())
    if is_dataclass(live):
        return sum(weight_bytes(getattr(live, field.name)) for field in fields(live))
    return 0


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _give_back(freed: int) -> None:
    """Return freed device memory to other programs."""
    torch = sys.modules.get("torch")
    if freed and torch is not None and torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
