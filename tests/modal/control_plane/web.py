"""HTTP for deployed web functions: a request becomes a call, its messages the response."""

import asyncio

from aiohttp import web
from modal._serialization import deserialize_data_format, serialize_data_format
from modal_proto import api_pb2

from tests.modal.control_plane.calls import Call, Calls
from tests.modal.control_plane.waiting import TICK

_ASGI = api_pb2.DATA_FORMAT_ASGI
_PICKLE = api_pb2.DATA_FORMAT_PICKLE


class Web:
    """Serves `/web/{function}/{path}`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "scheme": "https",
            "path": "/" + request.match_info["path"],
            "query_string": request.query_string.encode(),
            "headers": [(name.lower(), value) for name, value in request.raw_headers],
            "client": ("203.0.113.7", 443),
        }
        args = serialize_data_format(((scope,), {}), _PICKLE)
        content = api_pb2.FunctionInput(args=args, data_format=_PICKLE)
        kind = api_pb2.FUNCTION_CALL_INVOCATION_TYPE_SYNC
        call = self._calls.begin(request.match_info["function"], kind, [content])
        message = {"type": "http.request", "body": body, "more_body": False}
        call.data_in.append(_chunk(message, 1))
        try:
            return await self._respond(request, call)
        except (asyncio.CancelledError, ConnectionError):
            call.data_in.append(_chunk({"type": "http.disconnect"}, 2))
            raise

    async def _respond(self, request: web.Request, call: Call) -> web.StreamResponse:
        response = web.StreamResponse()
        seen = 0
        while True:
            is_over = call.is_over
            for chunk in call.data_out[seen:]:
                seen += 1
                message = deserialize_data_format(chunk.data, chunk.data_format, None)
                if message["type"] == "http.response.start":
                    response.set_status(message["status"])
                    for name, value in message["headers"]:
                        response.headers.add(name.decode(), value.decode())
                    await response.prepare(request)
                else:
                    await response.write(message.get("body") or b"")
                    if not message.get("more_body"):
                        return response
            if is_over:
                if not response.prepared:
                    return web.Response(status=500, text=call.outputs[0].result.exception)
                return response
            if request.transport is None or request.transport.is_closing():
                raise ConnectionError
            await asyncio.sleep(TICK)


def _chunk(message: dict[str, object], index: int) -> api_pb2.DataChunk:
    return api_pb2.DataChunk(data=serialize_data_format(message, _ASGI), data_format=_ASGI, index=index)
