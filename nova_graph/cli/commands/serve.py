"""`nova-graph serve`: the service over HTTP, with a worker process that computes."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nodes.assets import read_settings
from nova_graph.http.app import create_app
from nova_graph.http.auth import check_exposure
from nova_graph.http.desk import Desk
from nova_graph.http.library import read_library
from nova_graph.http.privacy import asset_secrets, set_up_logs
from nova_graph.http.server import Server, listen, make_server, start_loop
from nova_graph.http.settings import HttpSettings, read_http_settings
from nova_graph.http.uploads import Uploads
from nova_graph.options import read_options
from nova_graph.runtime import Runtime, local_runtime
from nova_graph.service.bounds import Bounds
from nova_graph.service.local import start_backend
from nova_graph.service.supervisor import WorkerCommand

MEMORY = 256 << 20
"""Bytes of results that the answering process keeps in memory; the worker has its own."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where to listen, and how much to log."""

    host: str
    port: int
    log_level: str


def serve(options: ServeOptions) -> None:
    """Serve until a signal comes; raises SettingError, CacheError, RegistryError."""
    settings = read_http_settings()
    check_exposure(options.host, settings)
    with open_service_runtime() as runtime:
        set_up_logs((*settings.secrets, *asset_secrets(runtime.settings)), options.log_level)
        start_loop(_serve(options, settings, runtime))


def open_service_runtime() -> Runtime:
    """Return a runtime that looks at graphs of strangers: they name things by name only, never by path."""
    options = read_options()
    return local_runtime(
        settings=read_settings(allow_paths=False, folders=()),
        options=replace(options, memory=min(options.memory, MEMORY)),
    )


def queue_bounds(settings: HttpSettings) -> Bounds:
    """Return bounds that leave room for what one key may have waiting, and for others beside it."""
    return Bounds(queue=max(Bounds().queue, 2 * settings.jobs), owner_queue=settings.jobs)


def state_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Return where jobs and uploads are kept: `NOVA_STATE_DIR`, else the user's usual place."""
    folder = (os.environ if environ is None else environ).get("NOVA_STATE_DIR", "")
    if folder:
        return Path(folder).expanduser().absolute()
    from platformdirs import user_state_path

    return user_state_path("nova-graph", appauthor=False)


async def _serve(options: ServeOptions, settings: HttpSettings, runtime: Runtime) -> None:
    state = state_folder()
    uploads = Uploads(state / "uploads", settings.uploads, settings.all_uploads)
    desk = Desk(runtime, read_library(settings.library), uploads, settings)
    listening = listen(options.host, options.port)
    command = WorkerCommand(uploads=uploads.folder)
    async with await start_backend(state / "jobs", command, bounds=queue_bounds(settings)) as backend:
        app = create_app(backend, desk, settings)
        server = make_server(app, log_level=options.log_level)
        _stop_at_signals(server)
        # What is there now stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        _say_where(options.host, listening.getsockname()[1], settings)
        await server.serve(sockets=[listening])
    desk.close()


def _stop_at_signals(server: Server) -> None:
    """End in order at the first signal; the second leaves open requests alone no longer."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)


def _say_where(host: str, port: int, settings: HttpSettings) -> None:
    name = f"[{host}]" if ":" in host else host
    who = "API keys are needed" if settings.keys else "no API keys"
    sys.stdout.write(f"Listening on http://{name}:{port} ({who}); Ctrl-C stops.\n")
    sys.stdout.flush()
