"""The HTTP application on a container without a GPU: it checks, plans and answers hits; the rest are calls."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

from nova_graph.http.app import create_app
from nova_graph.http.desk import Desk
from nova_graph.http.library import Library, read_library
from nova_graph.http.settings import HttpSettings, read_http_settings
from nova_graph.http.uploads import Uploads
from nova_graph.modal.backend import ModalBackend
from nova_graph.modal.documents import uploads_folder
from nova_graph.modal.front import Front
from nova_graph.modal.gate import Gate
from nova_graph.modal.volume import Shared
from nova_graph.runtime import Runtime

Out = TypeVar("Out")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


def make_web_app(front: Front, backend: ModalBackend, volume: Shared) -> Asgi:
    """Return the service's application; raises SettingError."""
    settings = read_http_settings()
    uploads = Uploads(uploads_folder(front.runtime.settings), settings.uploads, settings.all_uploads)
    desk = VolumeDesk(Gate(volume), front.runtime, read_library(settings.library), uploads, settings)
    return SharedFiles(create_app(backend, desk, settings), volume)


class VolumeDesk(Desk):
    """A desk whose work finds the Volume as other containers left it, and whole."""

    def __init__(
        self, gate: Gate, runtime: Runtime, library: Library, uploads: Uploads, settings: HttpSettings
    ) -> None:
        super().__init__(runtime, library, uploads, settings)
        self._gate = gate

    async def do(self, work: Callable[[], Out]) -> Out:
        """Do something that takes a while in a thread."""
        async with self._gate.look():
            return await super().do(work)


class SharedFiles:
    """Commits pictures that were sent in."""

    def __init__(self, app: Asgi, volume: Shared) -> None:
        self._app = app
        self._volume = volume

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/v1/files":
            await asyncio.to_thread(self._volume.commit)
