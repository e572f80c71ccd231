"""Functions and classes as they are defined, and how a client addresses them."""

# ruff: noqa: N802 - methods are named as the requests they answer.

import itertools
from dataclasses import dataclass, field

from grpclib import GRPCError, Status
from modal_proto import api_pb2

from tests.modal.control_plane.apps import Apps


@dataclass
class Function:
    """A function; for a class, the one that serves all its methods."""

    id: str
    app_id: str
    name: str
    metadata: api_pb2.FunctionHandleMetadata
    definition: api_pb2.Function = field(default_factory=api_pb2.Function)
    gpus: tuple[str, ...] = ()
    """In order of preference."""


class Functions:
    """Answers for functions and classes."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps
        self._ids = itertools.count(1)
        self.address = ""
        self.functions: dict[str, Function] = {}
        self._classes: dict[str, str] = {}

    def find(self, name: str) -> Function:
        """Return the function of that name that was defined last."""
        return next(each for each in reversed(self.functions.values()) if each.name == name)

    async def FunctionPrecreate(
        self, request: api_pb2.FunctionPrecreateRequest, task: str
    ) -> api_pb2.FunctionPrecreateResponse:
        function_id = request.existing_function_id or f"fu-{next(self._ids)}"
        metadata = self._metadata(function_id, request)
        self.functions[function_id] = Function(function_id, request.app_id, request.function_name, metadata)
        return api_pb2.FunctionPrecreateResponse(function_id=function_id, handle_metadata=metadata)

    async def FunctionCreate(self, request: api_pb2.FunctionCreateRequest, task: str) -> api_pb2.FunctionCreateResponse:
        function = self.functions[request.existing_function_id]
        ranked = [each.function for each in request.function_data.ranked_functions] or [request.function]
        function.definition = ranked[0]
        function.gpus = tuple(each.resources.gpu_config.gpu_type for each in ranked)
        return api_pb2.FunctionCreateResponse(
            function_id=function.id,
            function=ranked[0],
            function_data=_data(ranked),
            handle_metadata=function.metadata,
        )

    async def ClassCreate(self, request: api_pb2.ClassCreateRequest, task: str) -> api_pb2.ClassCreateResponse:
        served = next(
            each for each in self.functions.values() if each.app_id == request.app_id and each.name.endswith(".*")
        )
        class_id = request.existing_class_id or f"cs-{next(self._ids)}"
        self._classes[class_id] = served.id
        return api_pb2.ClassCreateResponse(class_id=class_id, handle_metadata=self._class_metadata(served))

    async def ClassGet(self, request: api_pb2.ClassGetRequest, task: str) -> api_pb2.ClassGetResponse:
        app = self._apps.deployed(request.app_name)
        if app is None or request.object_tag not in app.class_ids:
            raise GRPCError(Status.NOT_FOUND, f"no class {request.object_tag} in a deployed app {request.app_name}")
        class_id = app.class_ids[request.object_tag]
        served = self.functions[self._classes[class_id]]
        return api_pb2.ClassGetResponse(class_id=class_id, handle_metadata=self._class_metadata(served))

    async def FunctionGet(self, request: api_pb2.FunctionGetRequest, task: str) -> api_pb2.FunctionGetResponse:
        app = self._apps.deployed(request.app_name)
        if app is None or request.object_tag not in app.function_ids:
            raise GRPCError(Status.NOT_FOUND, f"no function {request.object_tag} in a deployed app {request.app_name}")
        function = self.functions[app.function_ids[request.object_tag]]
        return api_pb2.FunctionGetResponse(
            function_id=function.id, handle_metadata=function.metadata, function=_data([function.definition])
        )

    async def FunctionBindParams(
        self, request: api_pb2.FunctionBindParamsRequest, task: str
    ) -> api_pb2.FunctionBindParamsResponse:
        metadata = self.functions[request.function_id].metadata
        return api_pb2.FunctionBindParamsResponse(bound_function_id=request.function_id, handle_metadata=metadata)

    def layout(self, app_id: str) -> api_pb2.AppLayout:
        """Return all objects of an app, as its containers are told."""
        members = [each for each in self.functions.values() if each.app_id == app_id]
        classes = {key: self.functions[served] for key, served in self._classes.items()}
        classes = {key: served for key, served in classes.items() if served.app_id == app_id}
        functions = [api_pb2.Object(object_id=each.id, function_handle_metadata=each.metadata) for each in members]
        held = [
            api_pb2.Object(object_id=key, class_handle_metadata=self._class_metadata(served))
            for key, served in classes.items()
        ]
        others = {dep.object_id for each in members for dep in each.definition.object_dependencies}
        return api_pb2.AppLayout(
            objects=[*functions, *held, *(api_pb2.Object(object_id=other) for other in sorted(others))],
            function_ids={each.name: each.id for each in members},
            class_ids={served.name.removesuffix(".*"): key for key, served in classes.items()},
        )

    def _metadata(self, function_id: str, request: api_pb2.FunctionPrecreateRequest) -> api_pb2.FunctionHandleMetadata:
        is_web = request.webhook_config.type != api_pb2.WEBHOOK_TYPE_UNSPECIFIED
        return api_pb2.FunctionHandleMetadata(
            app_id=request.app_id,
            function_name=request.function_name,
            function_type=request.function_type,
            function_schema=request.function_schema,
            definition_id=f"de-{function_id}",
            supported_input_formats=request.supported_input_formats,
            supported_output_formats=request.supported_output_formats,
            web_url=f"{self.address}/web/{function_id}" if is_web else "",
            method_handle_metadata={
                name: api_pb2.FunctionHandleMetadata(
                    app_id=request.app_id,
                    function_name=method.function_name,
                    function_type=method.function_type,
                    function_schema=method.function_schema,
                    is_method=True,
                    use_method_name=name,
                    supported_input_formats=method.supported_input_formats,
                    supported_output_formats=method.supported_output_formats,
                )
                for name, method in request.method_definitions.items()
            },
        )

    @staticmethod
    def _class_metadata(served: Function) -> api_pb2.ClassHandleMetadata:
        return api_pb2.ClassHandleMetadata(class_function_id=served.id, class_function_metadata=served.metadata)


def _data(ranked: list[api_pb2.Function]) -> api_pb2.FunctionData:
    members = [api_pb2.FunctionData.RankedFunction(rank=rank, function=each) for rank, each in enumerate(ranked)]
    return api_pb2.FunctionData(ranked_functions=members)
