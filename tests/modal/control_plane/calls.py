"""Calls of functions: their inputs, outputs and streams of data."""

# ruff: noqa: N802 - methods are named as the requests they answer.

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from grpclib import GRPCError, Status
from modal_proto import api_pb2

from tests.modal.control_plane.waiting import TICK, until

Result = api_pb2.GenericResult


@dataclass
class Input:
    """One input of a call: waiting, on a container, or over."""

    id: str
    call: "Call"
    idx: int
    content: api_pb2.FunctionInput
    task: str = ""
    is_over: bool = False
    is_cancelled: bool = False
    was_told: bool = False
    """Whether its container knows that it is cancelled."""


@dataclass
class Call:
    """A call with one input, or with the inputs of a map."""

    id: str
    function_id: str
    kind: "api_pb2.FunctionCallInvocationType.ValueType"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[api_pb2.FunctionGetOutputsItem] = field(default_factory=list)
    data_in: list[api_pb2.DataChunk] = field(default_factory=list)
    data_out: list[api_pb2.DataChunk] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return bool(self.inputs) and all(each.is_over for each in self.inputs)


class Calls:
    """Answers for calls; `on_input` is told that a function has something to do."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self._inputs: dict[str, Input] = {}
        self._ids = itertools.count(1)
        self.on_input: Callable[[str], None] = lambda function_id: None
        self.is_refusing = False
        """Whether calls are refused, as where the plan of a workspace does not allow them."""
        self.on_terminate: Callable[[str], None] = lambda task: None

    def begin(
        self,
        function_id: str,
        kind: "api_pb2.FunctionCallInvocationType.ValueType",
        contents: Iterable[api_pb2.FunctionInput],
    ) -> Call:
        """Begin a call with these inputs."""
        call = Call(f"fc-{next(self._ids)}", function_id, kind)
        self.calls[call.id] = call
        for idx, content in enumerate(contents):
            self._add(call, idx, content)
        return call

    def waiting(self, function_id: str) -> list[Input]:
        """Return the inputs of a function that no container has."""
        return [
            each
            for each in self._inputs.values()
            if each.call.function_id == function_id and not each.task and not each.is_over
        ]

    def running(self, task: str) -> list[Input]:
        """Return the inputs that a container has."""
        return [each for each in self._inputs.values() if each.task == task and not each.is_over]

    def finish(
        self,
        given: Input,
        result: Result,
        data_format: "api_pb2.DataFormat.ValueType" = api_pb2.DATA_FORMAT_UNSPECIFIED,
    ) -> None:
        """End an input with a result."""
        if given.is_over:
            return
        given.is_over = True
        given.call.outputs.append(
            api_pb2.FunctionGetOutputsItem(
                result=result, idx=given.idx, input_id=given.id, data_format=data_format, task_id=given.task
            )
        )

    async def FunctionMap(self, request: api_pb2.FunctionMapRequest, task: str) -> api_pb2.FunctionMapResponse:
        if self.is_refusing:
            raise GRPCError(Status.FAILED_PRECONDITION, "no calls are taken now")
        contents = [item.input for item in request.pipelined_inputs]
        call = self.begin(request.function_id, request.function_call_invocation_type, contents)
        return api_pb2.FunctionMapResponse(
            function_call_id=call.id, pipelined_inputs=_told(call.inputs), max_inputs_outstanding=1000
        )

    async def FunctionPutInputs(
        self, request: api_pb2.FunctionPutInputsRequest, task: str
    ) -> api_pb2.FunctionPutInputsResponse:
        call = self.calls[request.function_call_id]
        added = [self._add(call, item.idx, item.input) for item in request.inputs]
        return api_pb2.FunctionPutInputsResponse(inputs=_told(added))

    async def FunctionFinishInputs(self, request: api_pb2.FunctionFinishInputsRequest, task: str) -> Empty:
        return Empty()

    async def FunctionGetOutputs(
        self, request: api_pb2.FunctionGetOutputsRequest, task: str
    ) -> api_pb2.FunctionGetOutputsResponse:
        call = self._call(request.function_call_id)
        seen = int(request.last_entry_id.partition("-")[0] or 0)
        await until(lambda: len(call.outputs) > seen, request.timeout)
        unfinished = sum(not each.is_over for each in call.inputs)
        return api_pb2.FunctionGetOutputsResponse(
            outputs=call.outputs[seen:], last_entry_id=f"{len(call.outputs)}-0", num_unfinished_inputs=unfinished
        )

    async def FunctionCallFromId(
        self, request: api_pb2.FunctionCallFromIdRequest, task: str
    ) -> api_pb2.FunctionCallFromIdResponse:
        call = self._call(request.function_call_id)
        return api_pb2.FunctionCallFromIdResponse(function_call_id=call.id, num_inputs=len(call.inputs))

    async def FunctionCallCancel(self, request: api_pb2.FunctionCallCancelRequest, task: str) -> Empty:
        for given in self._call(request.function_call_id).inputs:
            given.is_cancelled = True
            if not given.task:
                self.finish(given, cancelled())
            elif request.terminate_containers:
                self.on_terminate(given.task)
        return Empty()

    async def FunctionPutOutputs(self, request: api_pb2.FunctionPutOutputsRequest, task: str) -> Empty:
        for item in request.outputs:
            given = self._inputs[item.input_id]
            result = cancelled() if given.is_cancelled else item.result
            self.finish(given, result, item.data_format)
        return Empty()

    async def FunctionCallPutDataOut(self, request: api_pb2.FunctionCallPutDataRequest, task: str) -> Empty:
        self.calls[request.function_call_id].data_out.extend(request.data_chunks)
        return Empty()

    async def FunctionCallGetDataOut(
        self, request: api_pb2.FunctionCallGetDataRequest, task: str
    ) -> AsyncIterator[api_pb2.DataChunk]:
        call = self._call(request.function_call_id)
        async for chunk in _stream(call, call.data_out, request.last_index):
            yield chunk

    async def FunctionCallGetDataIn(
        self, request: api_pb2.FunctionCallGetDataRequest, task: str
    ) -> AsyncIterator[api_pb2.DataChunk]:
        call = self._call(request.function_call_id)
        async for chunk in _stream(call, call.data_in, request.last_index):
            yield chunk

    def _call(self, call_id: str) -> Call:
        if call_id not in self.calls:
            raise GRPCError(Status.NOT_FOUND, f"no function call {call_id}")
        return self.calls[call_id]

    def _add(self, call: Call, idx: int, content: api_pb2.FunctionInput) -> Input:
        given = Input(f"in-{next(self._ids)}", call, idx, content)
        self._inputs[given.id] = given
        call.inputs.append(given)
        self.on_input(call.function_id)
        return given


def cancelled() -> Result:
    """Return the result of a cancelled input."""
    return Result(status=Result.GENERIC_STATUS_TERMINATED, exception="the call was cancelled")


def lost(why: str) -> Result:
    """Return the result of an input whose container is gone."""
    return Result(status=Result.GENERIC_STATUS_INTERNAL_FAILURE, exception=why)


def _told(inputs: Iterable[Input]) -> list[api_pb2.FunctionPutInputsResponseItem]:
    return [api_pb2.FunctionPutInputsResponseItem(idx=each.idx, input_id=each.id, input_jwt=each.id) for each in inputs]


async def _stream(call: Call, chunks: list[api_pb2.DataChunk], last: int) -> AsyncIterator[api_pb2.DataChunk]:
    sent = last
    while True:
        is_over = call.is_over
        for chunk in chunks[sent:]:
            sent = chunk.index
            yield chunk
        if is_over:
            await asyncio.sleep(1)
            return
        await asyncio.sleep(TICK)
