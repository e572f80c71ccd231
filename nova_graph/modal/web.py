"""The HTTP application on a container without a GPU: it checks, plans and answers hits; the rest are calls."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from nova_graph.http.app import create_app
from nova_graph.http.desk import Desk
from nova_graph.http.library import read_library
from nova_graph.http.settings import read_http_settings
from nova_graph.http.uploads import Uploads
from nova_graph.modal.backend import ModalBackend
from nova_graph.modal.documents import uploads_folder
from nova_graph.modal.front import Front
from nova_graph.modal.volume import Shared

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

FRESH = 2.0
"""Seconds for which the Volume is taken to be as it was last seen."""


def make_web_app(front: Front, store: Any, function: Any, volume: Shared) -> Asgi:
    """Return the service's application; `store` is a Modal Dict, `function` what runs a job. Raises SettingError."""
    settings = read_http_settings()
    uploads = Uploads(uploads_folder(front.runtime.settings), settings.uploads)
    desk = Desk(front.runtime, read_library(settings.library), uploads, settings)
    return SharedFiles(create_app(ModalBackend(store, function), desk, settings), volume)


class SharedFiles:
    """Takes in what other containers wrote before a graph is looked at, and commits pictures that were sent in."""

    def __init__(self, app: Asgi, volume: Shared) -> None:
        self._app = app
        self._volume = volume
        self._seen = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        if is_post and time.monotonic() - self._seen > FRESH and await asyncio.to_thread(self._volume.refresh):
            self._seen = time.monotonic()
        await self._app(scope, receive, send)
        if is_post and scope["path"] == "/v1/files":
            await asyncio.to_thread(self._volume.commit)
