"""Keeps a worker process alive: starts it, carries messages, notices its death, starts it again."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, cast

from engine.values import Json
from nova_graph.service.exits import Exit
from nova_graph.service.frames import BadFrame, Decoder, Frame, encode

_log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 10.0
"""Seconds between a worker's death and the next start: nothing at first, then twice as long each time."""

_LAST_WORDS: Final = 2.0
"""Seconds in which what a dead worker had written must have arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCommand:
    """How to start a worker."""

    environ: Mapping[str, str] | None = None
    """Its environment variables; None passes on those of the service."""
    names_only: bool = True
    """Graphs may name checkpoints and pictures by name only, never by path."""
    uploads: Path | None = None
    """Where the pictures that clients sent lie."""

    def arguments(self, descriptor: int) -> list[str]:
        """Return the command line of a worker that speaks through an inherited socket."""
        arguments = [sys.executable, "-m", "nova_graph.service.worker", str(descriptor)]
        if self.names_only:
            arguments.append("--names-only")
        if self.uploads is not None:
            arguments += ["--uploads", str(self.uploads)]
        return arguments


class Listener(Protocol):
    """Who is told what the worker does."""

    def worker_ready(self, seconds: float) -> None:
        """Hear that a worker can take jobs; it took so many seconds to start."""
        ...

    def worker_said(self, frame: Frame) -> None:
        """Hear a message."""
        ...

    def worker_gone(self, exit_: Exit) -> None:
        """Hear that the worker is dead; all its messages have come."""
        ...


class Supervisor:
    """One worker at a time, for as long as it runs."""

    def __init__(self, command: WorkerCommand, listener: Listener, start_limit: float) -> None:
        self._command = command
        self._listener = listener
        self._start_limit = start_limit
        self._link: _Link | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._why = ""
        self._stopping = False
        self._failures = 0
        self.restarts = 0
        """How often a worker was started again."""

    @property
    def ready(self) -> bool:
        """Whether a worker waits for jobs, or is at one."""
        return self._link is not None and self._link.greeted

    @property
    def pid(self) -> int | None:
        """The worker's process, while there is one."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Begin to keep a worker."""
        self._task = asyncio.create_task(self._keep(), name="nova-graph supervisor")

    def send(self, header: Mapping[str, Json], parts: Sequence[bytes] = ()) -> None:
        """Send a message; it is lost if the worker is gone."""
        if self._link is not None:
            self._link.send(header, parts)

    def kill(self, why: str) -> None:
        """Kill the worker and all that it started; another takes its place."""
        if self._process is not None and not self._why:
            self._why = why
            _kill_group(self._process.pid)

    def praise(self) -> None:
        """Note that the worker does its work: its next death is the first of a new row."""
        self._failures = 0

    async def stop(self, patience: float) -> None:
        """Let the worker end, kill it after so many seconds, and start none any more."""
        self._stopping = True
        if self._link is not None:
            self._link.close()
        if self._task is None:
            return
        if self._process is None:
            self._task.cancel()
        _, late = await asyncio.wait([self._task], timeout=patience)
        if late:
            self.kill("the service stopped")
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep(self) -> None:
        while not self._stopping:
            try:
                exit_ = await self._run_one()
            except OSError as error:
                _log.error("no worker can be started: %s", error)
            else:
                _log.log(logging.INFO if self._stopping else logging.WARNING, "%s", exit_)
                self._listener.worker_gone(exit_)
            if not self._stopping:
                pause = min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE) if self._failures else 0.0
                self._failures += 1
                self.restarts += 1
                await asyncio.sleep(pause)

    async def _run_one(self) -> Exit:
        began = time.monotonic()
        ours, theirs = socket.socketpair()
        self._why = ""
        with theirs:
            try:
                process = await self._spawn(theirs.fileno())
            except BaseException:
                ours.close()
                raise
        self._process = process
        link = _Link(self._listener, self._heard_nonsense, began)
        try:
            await asyncio.get_running_loop().create_connection(lambda: link, sock=ours)
            self._link = link
            if self._stopping:
                link.close()
            late = asyncio.get_running_loop().call_later(self._start_limit, self._check_greeting, link)
            status = await process.wait()
            late.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(link.over.wait(), _LAST_WORDS)
        finally:
            # What the worker started may outlive it.
            _kill_group(process.pid)
            self._process = self._link = None
            link.close()
        return Exit(status, self._why)

    async def _spawn(self, descriptor: int) -> asyncio.subprocess.Process:
        environ = None if self._command.environ is None else dict(self._command.environ)
        return await asyncio.create_subprocess_exec(
            *self._command.arguments(descriptor),
            stdin=asyncio.subprocess.DEVNULL,
            # What nodes print belongs into the log.
            stdout=2,
            pass_fds=(descriptor,),
            env=environ,
            # Ctrl-C in a terminal is for the service alone.
            start_new_session=True,
        )

    def _check_greeting(self, link: "_Link") -> None:
        if not link.greeted:
            self.kill(f"the worker did not start within {self._start_limit:.0f} s")

    def _heard_nonsense(self, error: BadFrame) -> None:
        self.kill(f"the worker sent what nobody understands: {error}")


class _Link(asyncio.Protocol):
    """The service's end of the socket."""

    def __init__(self, listener: Listener, on_nonsense: "_OnNonsense", began: float) -> None:
        self._listener = listener
        self._on_nonsense = on_nonsense
        self._began = began
        self._decoder = Decoder()
        self._transport: asyncio.WriteTransport | None = None
        self._same: socket.socket | None = None
        """The socket once more: what is in it outlives the transport."""
        self.greeted = False
        self.over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every event loop's transports are of this class: uvloop's only behave like it.
        self._transport = cast(asyncio.WriteTransport, transport)
        self._same = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))

    def send(self, header: Mapping[str, Json], parts: Sequence[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(header, parts))

    def close(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                if frame.text("say") == "hello":
                    self.greeted = True
                    self._listener.worker_ready(time.monotonic() - self._began)
                else:
                    self._listener.worker_said(frame)
        except BadFrame as error:
            self._on_nonsense(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._read_rest()
        self.over.set()

    def _read_rest(self) -> None:
        """Read what a dead worker had written; the transport drops it where a message could not be sent to it."""
        if self._same is None:
            return
        with self._same, suppress(OSError):
            while data := self._same.recv(1 << 18, socket.MSG_DONTWAIT):
                self.data_received(data)


class _OnNonsense(Protocol):
    def __call__(self, error: BadFrame) -> None: ...


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
