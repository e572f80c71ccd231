"""The process that owns the device, the loaded models and the caches; it runs one job after another.

It speaks with the service through a socket it inherits, in the frames of `nova_graph.service.frames`:

    service -> worker
      {do: run, job, owner, careful, events, event_bytes, result_bytes} + [graph as JSON]
      {do: cancel, job}
    worker -> service
      {say: hello}                                           ready for jobs
      {say: began, job}                                      from here on, this job is the one that is running
      {say: events, job, count, previews} + [JSON lines]     `previews`: base64 by index of the line
      {say: ended, job, outcome, error, memory, cached, ran, seconds, outputs, files, count, previews}
                                                             + [JSON lines, picture, ...]

Jobs are run in the order in which they come. When the socket closes, or at SIGTERM, the running job is stopped and the
process ends; jobs that were not told to have ended were not. It ends too after a job under which the device has failed:
nothing would work any more.
"""

import argparse
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from engine.errors import NovaError
from engine.services import Services
from nodes.assets import read_settings
from nova_graph.http.privacy import asset_secrets, set_up_logs
from nova_graph.http.settings import read_http_settings
from nova_graph.http.uploads import Uploads
from nova_graph.runtime import Runtime, local_runtime
from nova_graph.service.inbox import Inbox
from nova_graph.service.outbox import Outbox
from nova_graph.service.perform import perform

_log = logging.getLogger("nova_graph.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until the service has no more jobs; returns its exit status."""
    options = _parser().parse_args(arguments)
    _die_with_service()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=options.descriptor)
    connection.set_inheritable(False)
    try:
        runtime = _runtime(names_only=options.names_only)
    except NovaError as error:
        print(error, file=sys.stderr)
        return 2
    with runtime, connection:
        return _work(connection, runtime, _services_by_owner(runtime, options.uploads))


def _work(connection: socket.socket, runtime: Runtime, services_of: Callable[[str], Services]) -> int:
    outbox = Outbox(connection)
    inbox = Inbox(connection)
    signal.signal(signal.SIGTERM, lambda *_: inbox.close())
    # What is there now stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    try:
        outbox.send({"say": "hello"})
        while (task := inbox.next()) is not None:
            if not perform(task, runtime, services_of(task.owner), outbox, inbox):
                _log.error("the device has failed; another worker must take over")
                return 1
    except (BrokenPipeError, ConnectionResetError):
        _log.warning("the service is gone")
    return 0


def _runtime(*, names_only: bool) -> Runtime:
    settings = read_settings(allow_paths=False, folders=()) if names_only else read_settings()
    set_up_logs((*read_http_settings().secrets, *asset_secrets(settings)), "warning")
    return local_runtime(settings=settings, warn=_log.warning)


def _services_by_owner(runtime: Runtime, uploads: Path | None) -> Callable[[str], Services]:
    """Return what gives the services for an owner's job: the pictures that others sent are not among its assets."""
    pictures = Uploads(uploads) if uploads is not None else None

    def services_of(owner: str) -> Services:
        if pictures is None:
            return runtime.services
        return replace(runtime.services, assets=pictures.assets_for(owner, runtime.services.assets))

    return services_of


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nova_graph.service.worker")
    parser.add_argument("descriptor", type=int, help="the inherited socket")
    parser.add_argument("--names-only", action="store_true", help="graphs may not name paths")
    parser.add_argument("--uploads", type=Path, help="the folder of pictures that clients sent")
    return parser


def _die_with_service() -> None:
    """Ask Linux to kill this process when the service dies; elsewhere, the closing socket ends it a little later."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # A thread that a node left behind must not keep the process.
    os._exit(status)
