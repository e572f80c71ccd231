"""What has been computed before: in memory at once, in a folder soon after."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Thread
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

from engine.memory import Memory, size_of
from engine.node import Output
from engine.store import Store

Out = TypeVar("Out", bound=Output)

QUEUE_BYTES: Final = 256 << 20
"""How much may wait to be written before `put` waits too."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    output: Output
    about: str
    size: int


class OnDisk(Exception):
    """Outputs have to be read from the disk, which was not to be done now."""


class Cache:
    """Outputs by key, in memory and, where there is a store, on disk.

    Files are written by one thread in the background, which lives only while there is something to write; a process
    that ends waits for it. `warn` may be called from that thread. Use it as a context manager, or call `close`.
    """

    def __init__(
        self, memory: Memory, store: Store | None, warn: Callable[[str], None], *, queue_bytes: int = QUEUE_BYTES
    ) -> None:
        self.memory = memory
        self.store = store
        self._warn = warn
        self._queue_bytes = queue_bytes
        self._waiting: dict[str, _Waiting] = {}
        self._waiting_bytes = 0
        self._writer: Thread | None = None
        self._closed = False
        self._changed = Condition()

    def get(
        self, key: str, output_class: type[Out], *, stored: bool = True
    ) -> tuple[Out, Literal["memory", "disk"]] | None:
        """Return the outputs of a key and where they were, or None; what was on disk is in memory from now on.

        Unless `stored`, the disk is not asked: outputs of this kind are never put there.
        """
        held = self._held(key)
        if type(held) is output_class:
            return held, "memory"
        read = self.store.get(key, output_class) if stored and self.store else None
        if read is None:
            return None
        self.memory.put(key, read)
        return read, "disk"

    def get_held(
        self, key: str, output_class: type[Out], *, stored: bool = True
    ) -> tuple[Out, Literal["memory", "disk"]] | None:
        """Return what `get` returns, without reading a file; raises OnDisk where one would have to be read."""
        held = self._held(key)
        if type(held) is output_class:
            return held, "memory"
        if stored and self.store is not None and self.store.has(key):
            raise OnDisk
        return None

    def put(self, key: str, output: Output, *, stored: bool, about: str) -> None:
        """Keep outputs in memory now and, if `stored`, on disk soon; waits only while the queue is full.

        After `close` they are kept in memory only.
        """
        self.memory.put(key, output)
        if stored and self.store is not None:
            self._enqueue(key, _Waiting(output, about, size_of(output)))
            self._ensure_writer()

    def flush(self) -> None:
        """Wait until everything is on disk."""
        self._ensure_writer()
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)

    def close(self) -> None:
        """Write what is waiting, and write nothing more after that."""
        with self._changed:
            self._closed = True
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _held(self, key: str) -> Output | None:
        held = self.memory.get(key)
        if held is not None:
            return held
        with self._changed:
            waiting = self._waiting.get(key)
        return waiting.output if waiting else None

    def _enqueue(self, key: str, waiting: _Waiting) -> None:
        self._ensure_writer()
        with self._changed:
            self._changed.wait_for(lambda: key in self._waiting or self._has_room(waiting.size))
            if not self._closed and key not in self._waiting:
                self._waiting[key] = waiting
                self._waiting_bytes += waiting.size

    def _has_room(self, size: int) -> bool:
        return not self._waiting or self._waiting_bytes + size <= self._queue_bytes

    def _ensure_writer(self) -> None:
        """Start a writer if there is work and none is alive; Ctrl-C may have come just before its start."""
        with self._changed:
            if not self._waiting or (self._writer is not None and self._writer.is_alive()):
                return
            self._writer = Thread(target=self._write_all, name="nova-graph cache")
            try:
                self._writer.start()
            except RuntimeError:
                # No thread can be had: the process is at its limit, or ending.
                self._write_all()

    def _write_all(self) -> None:
        while (first := self._first()) is not None:
            key, waiting = first
            self._write(key, waiting)
            with self._changed:
                if self._waiting.pop(key, None) is not None:
                    self._waiting_bytes -= waiting.size
                self._changed.notify_all()

    def _first(self) -> tuple[str, _Waiting] | None:
        """Return what is to be written next; None ends the writer."""
        with self._changed:
            for first in self._waiting.items():
                return first
            self._writer = None
            return None

    def _write(self, key: str, waiting: _Waiting) -> None:
        try:
            if self.store is not None and not self.store.has(key):
                self.store.put(key, waiting.output, waiting.about)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on and the next one is written.
            with suppress(Exception):
                self._warn(f"a result of {waiting.about} was not stored: {error}")
