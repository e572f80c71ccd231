"""The application on a socket."""

import asyncio
import socket
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from engine.errors import SettingError
from nova_graph.http.connections import BoundedProtocol, Doors

BACKLOG: Final = 1024
STOP_SECONDS: Final = 10
"""How long open requests may go on once the service was asked to stop."""


class Server(uvicorn.Server):
    """Tells the application at once when it is asked to stop, so that open streams end."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would end the process before the backend is closed."""
        yield

    def stop(self) -> None:
        """End in order; when asked again, without waiting for open requests."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._stopping.set()


def make_server(app: FastAPI, *, log_level: str = "warning") -> Server:
    """Return the server for an application; `await server.serve(sockets=[...])` runs it until a signal comes."""
    settings = app.state.shared.settings
    doors = Doors(settings.request, settings.connections)
    config = uvicorn.Config(
        app,
        http=partial(BoundedProtocol, doors=doors),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level=log_level,
        backlog=BACKLOG,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=STOP_SECONDS,
        server_header=False,
        proxy_headers=False,
    )
    return Server(config, app.state.shared.stopping)


def start_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run until the end, on the fastest event loop there is."""
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    uvloop.run(main)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes any that is free. Raises SettingError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        raise SettingError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}", hint="Name another with --port."
        ) from error
    listening.settimeout(0)
    return listening
