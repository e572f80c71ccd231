"""Apps: created, published under a name, disconnected; and what their containers print."""

# ruff: noqa: N802 - methods are named as the requests they answer.

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from modal_proto import api_pb2


@dataclass
class App:
    """One app; `layout` is what was published last."""

    id: str
    name: str = ""
    is_over: bool = False
    function_ids: dict[str, str] = field(default_factory=dict)
    class_ids: dict[str, str] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)


class Apps:
    """Answers for apps, the environment, and logs."""

    def __init__(self) -> None:
        self.apps: dict[str, App] = {}
        self._ids = itertools.count(1)
        self.on_end: Callable[[str], None] = lambda app_id: None

    def deployed(self, name: str) -> App | None:
        return next((app for app in reversed(self.apps.values()) if app.name == name and not app.is_over), None)

    async def ClientHello(self, request: Empty, task: str) -> api_pb2.ClientHelloResponse:
        return api_pb2.ClientHelloResponse()

    async def AuthTokenGet(self, request: api_pb2.AuthTokenGetRequest, task: str) -> api_pb2.AuthTokenGetResponse:
        return api_pb2.AuthTokenGetResponse(token="unused")

    async def EnvironmentGetOrCreate(
        self, request: api_pb2.EnvironmentGetOrCreateRequest, task: str
    ) -> api_pb2.EnvironmentGetOrCreateResponse:
        settings = api_pb2.EnvironmentSettings(image_builder_version="2026.10")
        metadata = api_pb2.EnvironmentMetadata(name="main", settings=settings)
        return api_pb2.EnvironmentGetOrCreateResponse(environment_id="en-1", metadata=metadata)

    async def AppGetByDeploymentName(
        self, request: api_pb2.AppGetByDeploymentNameRequest, task: str
    ) -> api_pb2.AppGetByDeploymentNameResponse:
        app = self.deployed(request.name)
        return api_pb2.AppGetByDeploymentNameResponse(app_id=app.id if app else "")

    async def AppCreate(self, request: api_pb2.AppCreateRequest, task: str) -> api_pb2.AppCreateResponse:
        app = App(f"ap-{next(self._ids)}")
        self.apps[app.id] = app
        return api_pb2.AppCreateResponse(app_id=app.id, app_page_url=f"https://example.invalid/{app.id}")

    async def AppGetLayout(self, request: api_pb2.AppGetLayoutRequest, task: str) -> api_pb2.AppGetLayoutResponse:
        app = self.apps[request.app_id]
        layout = api_pb2.AppLayout(function_ids=app.function_ids, class_ids=app.class_ids)
        return api_pb2.AppGetLayoutResponse(app_layout=layout)

    async def AppHeartbeat(self, request: api_pb2.AppHeartbeatRequest, task: str) -> Empty:
        return Empty()

    async def AppPublish(self, request: api_pb2.AppPublishRequest, task: str) -> api_pb2.AppPublishResponse:
        app = self.apps[request.app_id]
        if request.app_state == api_pb2.APP_STATE_DEPLOYED:
            app.name = request.name
        app.function_ids, app.class_ids = dict(request.function_ids), dict(request.class_ids)
        return api_pb2.AppPublishResponse(url=f"https://example.invalid/{app.id}", deployed_at=1.0)

    async def AppClientDisconnect(self, request: api_pb2.AppClientDisconnectRequest, task: str) -> Empty:
        self.apps[request.app_id].is_over = True
        self.on_end(request.app_id)
        return Empty()

    async def AppGetLogs(self, request: api_pb2.AppGetLogsRequest, task: str) -> AsyncIterator[api_pb2.TaskLogsBatch]:
        app = self.apps[request.app_id]
        sent = int(request.last_entry_id or 0)
        for _ in range(int((request.timeout or 10) / 0.05)):
            is_over = app.is_over
            if is_over:
                await asyncio.sleep(0.1)  # what was printed last is on its way through a pipe
            if sent < len(app.logs):
                items = [
                    api_pb2.TaskLogs(data=text, file_descriptor=api_pb2.FILE_DESCRIPTOR_STDOUT)
                    for text in app.logs[sent:]
                ]
                sent = len(app.logs)
                yield api_pb2.TaskLogsBatch(items=items, entry_id=str(sent))
            if is_over:
                yield api_pb2.TaskLogsBatch(app_done=True, entry_id=str(sent))
                return
            await asyncio.sleep(0.05)
