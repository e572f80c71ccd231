"""All nouns behind one grpc service; a request that no noun answers is UNIMPLEMENTED and remembered."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from grpclib import GRPCError, Status
from grpclib.server import Stream
from modal_proto import api_grpc

TASK_HEADER = "x-nova-task"
"""Says which container asks; the plane gives it to every container as an override header."""

Answer = Callable[[Any, str], Awaitable[Any] | AsyncIterator[Any]]


def make_servicer(nouns: Sequence[object], asked: list[tuple[str, Any]]) -> Any:
    """Return a grpc service whose methods are those of the nouns, `(request, task_id) -> response`."""
    names = [name for name in dir(api_grpc.ModalClientBase) if name[0].isupper()]
    methods = {name: _method(name, _find(name, nouns), asked) for name in names}
    return type("Servicer", (api_grpc.ModalClientBase,), methods)()


def _find(name: str, nouns: Sequence[object]) -> Answer | None:
    return next((getattr(noun, name) for noun in nouns if hasattr(noun, name)), None)


def _method(name: str, answer: Answer | None, asked: list[tuple[str, Any]]) -> Any:
    async def unknown(self: object, stream: "Stream[Any, Any]") -> None:
        asked.append((name, await stream.recv_message()))
        raise GRPCError(Status.UNIMPLEMENTED, f"{name} is not part of the test control plane")

    async def unary(self: object, stream: "Stream[Any, Any]") -> None:
        request = await stream.recv_message()
        asked.append((name, request))
        await stream.send_message(await answer(request, _task(stream)))  # type: ignore[misc]

    async def streaming(self: object, stream: "Stream[Any, Any]") -> None:
        request = await stream.recv_message()
        asked.append((name, request))
        async for message in answer(request, _task(stream)):  # type: ignore[misc, union-attr]
            await stream.send_message(message)

    if answer is None:
        return unknown
    return streaming if inspect.isasyncgenfunction(answer) else unary


def _task(stream: "Stream[Any, Any]") -> str:
    metadata: Any = stream.metadata
    return str(metadata.get(TASK_HEADER, "")) if metadata else ""
