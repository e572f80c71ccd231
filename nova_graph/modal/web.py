"""The HTTP application on a container without a GPU: it checks, plans and answers hits; the rest are calls."""

import time
from collections.abc import Callable
from typing import TypeVar

from fastapi import FastAPI

from engine.errors import AssetError
from engine.plan import LookUp
from nova_graph.http.app import create_app
from nova_graph.http.desk import Desk, Given, Ready
from nova_graph.http.library import Library, read_library
from nova_graph.http.settings import HttpSettings, read_http_settings
from nova_graph.http.uploads import Uploads
from nova_graph.modal.backend import ModalBackend
from nova_graph.modal.documents import refuse_pending, uploads_folder
from nova_graph.modal.front import Front
from nova_graph.modal.gate import Gate
from nova_graph.modal.unfit import refuse_unfit
from nova_graph.modal.uploads import VolumeUploads
from nova_graph.modal.volume import Shared

Out = TypeVar("Out")


def make_web_app(front: Front, backend: ModalBackend, volume: Shared) -> FastAPI:
    """Return the service's application; raises SettingError."""
    settings = read_http_settings()
    folder = uploads_folder(front.runtime.settings)
    uploads = VolumeUploads(folder, settings.uploads, settings.all_uploads, commit=volume.commit)
    desk = VolumeDesk(Gate(volume), front, read_library(settings.library), uploads, settings)
    return create_app(backend, desk, settings)


class VolumeDesk(Desk):
    """A desk whose work finds the Volume as other containers left it, and whole."""

    def __init__(self, gate: Gate, front: Front, library: Library, uploads: Uploads, settings: HttpSettings) -> None:
        super().__init__(front.runtime, library, uploads, settings)
        self._gate = gate
        self._fallback = front.fallback

    async def plan(self, owner: str, given: Given) -> Ready:
        """Settle and plan a graph, whose results may have come onto the Volume meanwhile; raises as `plan_here`."""
        return await self.do(lambda: self.plan_here(owner, given))

    def plan_here(self, owner: str, given: Given, look_up: LookUp | None = None) -> Ready:
        """Plan a graph in this thread; raises AssetError too for files that a GPU container lacks or cannot use."""
        ready = super().plan_here(owner, given, look_up)
        if not self._fallback:
            refuse_pending(ready.plan)
            refuse_unfit(ready.plan)
        return ready

    async def do(self, work: Callable[[], Out]) -> Out:
        """Do something that takes a while in a thread; again where a file is missing that may have come meanwhile."""
        asked = time.monotonic()
        try:
            async with self._gate.look():
                return await super().do(work)
        except AssetError:
            async with self._gate.look(since=asked):
                return await super().do(work)
