"""The whole plane: its nouns, its two servers, and the thread they live in."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web
from grpclib.server import Server

from tests.modal.control_plane.apps import Apps
from tests.modal.control_plane.blobs import Blobs
from tests.modal.control_plane.calls import Calls
from tests.modal.control_plane.containers import Container, Containers, Machine
from tests.modal.control_plane.dicts import Dicts
from tests.modal.control_plane.functions import Function, Functions
from tests.modal.control_plane.images import Images
from tests.modal.control_plane.mounts import Mounts
from tests.modal.control_plane.packages import Packages, command
from tests.modal.control_plane.secrets import Secrets
from tests.modal.control_plane.servicer import TASK_HEADER, make_servicer
from tests.modal.control_plane.volumes import Volumes
from tests.modal.control_plane.waiting import wait_for
from tests.modal.control_plane.web import Web

T = TypeVar("T")

_HOST = "127.0.0.1"
_LARGEST = 256 << 20

_HARDWARE = {
    "NOVA_DEVICE": "cpu",
    "NOVA_DTYPE": "float32",
    "NOVA_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}
"""What containers here have instead of a GPU; it goes before what images and secrets say."""


class ControlPlane:
    """Use it as a context manager; `asked` is every request, in order."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.blobs, self.apps, self.images, self.calls = Blobs(), Apps(), Images(), Calls()
        self.secrets, self.volumes, self.dicts = Secrets(), Volumes(folder), Dicts()
        self.mounts, self.functions = Mounts(folder, self.blobs), Functions(self.apps)
        self.packages = Packages(folder)
        self.containers = Containers(folder, self.calls, self.apps.apps, self._machine)
        self.containers.functions = self.functions.functions
        self.containers.layout = self.functions.layout
        self.calls.on_input = self.containers.need
        self.apps.on_end = self.containers.stop_app
        self.calls.on_terminate = self.containers.kill
        self.volumes.process_of = self.containers.process_of
        self.grpc_address = ""
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="control plane")

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def client_environ(self) -> dict[str, str]:
        """Return the variables that make a client talk to this plane."""
        return {
            "MODAL_SERVER_URL": self.grpc_address,
            "MODAL_TOKEN_ID": "ak-test",
            "MODAL_TOKEN_SECRET": "as-test",
            "MODAL_CONFIG_PATH": str(self._folder / "no-config.toml"),
        }

    def requests(self, name: str) -> list[Any]:
        """Return the requests of one name."""
        return [request for asked, request in self.asked if asked == name]

    def unanswered(self) -> set[str]:
        """Return the names of requests that the plane does not know."""
        nouns = self._nouns()
        return {name for name, _ in self.asked if not any(hasattr(noun, name) for noun in nouns)}

    def alive(self, name: str) -> list[Container]:
        """Return the containers of a function that are there now."""
        return [each for each in self.containers.of(name) if not each.is_gone]

    def scale_down(self, name: str) -> None:
        """End the containers of a function as their idle time would, and wait until they are gone."""
        for container in self.alive(name):
            container.is_stopping = True
        wait_for(lambda: not self.alive(name), f"{name} to scale down")

    def kill(self, name: str) -> None:
        """End the containers of a function without a word."""
        for container in self.alive(name):
            self._loop.call_soon_threadsafe(self.containers.kill, container.task)
        wait_for(lambda: not self.alive(name), f"{name} to die")

    def preempt(self, name: str) -> None:
        """Take the machines of a function away, and wait until its containers are gone."""
        taken = self.alive(name)
        for container in taken:
            self._loop.call_soon_threadsafe(self.containers.preempt, container.task)
        wait_for(lambda: all(each.is_gone for each in taken), f"{name} to be preempted")

    def expire(self, name: str) -> None:
        """End what a function is doing, as if its time were up."""
        for container in self.alive(name):
            self._loop.call_soon_threadsafe(self.containers.expire, container.task)
        wait_for(lambda: not self.alive(name), f"{name} to end")

    def end(self, name: str) -> None:
        """End what a function is doing, as where its app is stopped."""
        for container in self.alive(name):
            self._loop.call_soon_threadsafe(self.containers.end, container.task)
        wait_for(lambda: not self.alive(name), f"{name} to end")

    def volume(self, name: str) -> Path:
        """Return the folder of what is committed to a volume."""
        return self.volumes.committed(self.volumes.named[name])

    def _machine(self, function: Function, task: str) -> Machine:
        """Lay out what one container sees: uploaded files, packages of its image, volumes, secrets."""
        definition = function.definition
        box = self.mounts.box(definition.mount_ids)
        packages = self.packages.folder(self.images.requirements(definition.image_id))
        environ = {"PATH": os.environ["PATH"], "HOME": str(box)}
        environ.update(self.images.environ(definition.image_id))
        for secret in definition.secret_ids:
            environ.update(self.secrets.values[secret])
        for mount in definition.volume_mounts:
            folder = str(self.volumes.mount(mount.volume_id, task))
            environ = {name: _moved(value, mount.mount_path, folder) for name, value in environ.items()}
        own = {
            "PYTHONPATH": f"{box / 'root'}{os.pathsep}{packages}",
            "MODAL_SERVER_URL": self.grpc_address,
            "MODAL_IS_REMOTE": "1",
            "MODAL_IMAGE_ID": definition.image_id,
            "MODAL_ENVIRONMENT": "main",
            "MODAL_HEARTBEAT_INTERVAL": "0.5",
            "MODAL_OVERRIDE_HEADERS": f"{TASK_HEADER}:{task}",
        }
        return Machine(command(), box / "root", {**environ, **_HARDWARE, **own})

    def _nouns(self) -> list[object]:
        return [
            self.apps,
            self.functions,
            self.calls,
            self.containers,
            self.images,
            self.mounts,
            self.blobs,
            self.volumes,
            self.secrets,
            self.dicts,
        ]

    async def _start(self) -> None:
        routes = web.Application(client_max_size=_LARGEST)
        routes.router.add_put("/blobs/{blob}", self.blobs.put)
        routes.router.add_get("/blobs/{blob}", self.blobs.get)
        routes.router.add_get("/{owner}/{name}/resolve/main/{blob}", self.blobs.get)
        routes.router.add_route("*", "/web/{function}/{path:.*}", Web(self.calls).serve)
        self._runner = web.AppRunner(routes, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.blobs.address = self.functions.address = f"http://{_HOST}:{port}"
        self._server = Server([make_servicer(self._nouns(), self.asked)])
        await self._server.start(_HOST, 0)
        grpc_port = self._server._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.grpc_address = f"http://{_HOST}:{grpc_port}"

    async def _stop(self) -> None:
        await self.containers.close()
        self._server.close()
        await self._server.wait_closed()
        await self._runner.cleanup()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


def _moved(value: str, mount: str, folder: str) -> str:
    """Return a path below a mount as the path that it has on this machine."""
    is_below = value == mount or value.startswith(mount.rstrip("/") + "/")
    return folder + value[len(mount.rstrip("/")) :] if is_below else value
