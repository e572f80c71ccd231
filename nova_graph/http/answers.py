"""How answers end where uvicorn has no way to: without chunks, and when the service waits no longer."""

import asyncio

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from nova_graph.http.problems import Trouble, render


def ending_with_the_connection(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """Let an answer of unknown length to HTTP/1.0 end with its connection: it has no chunks (RFC 9112, 6.1)."""
    if cycle.scope["http_version"] != "1.0":
        return app

    async def call(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        is_open = False

        async def send_plain(message: ASGISendEvent) -> None:
            nonlocal is_open
            if message["type"] == "http.response.start":
                is_open = all(name.lower() != b"content-length" for name, _ in message.get("headers", []))
                cycle.chunked_encoding = False if is_open else None
            elif message["type"] == "http.response.body" and is_open:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    return call


def ending_with_the_service(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """Answer with a problem where the service ends before there is an answer; one that has begun is cut off."""

    async def call(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if cycle.response_started:
                cycle.transport.close()
                cycle.disconnected = True
                return
            detail = "The service stopped before the request was answered."
            answer = render(Trouble(503, detail, headers={"Connection": "close"}))
            status, headers = answer.status_code, answer.raw_headers
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": bytes(answer.body), "more_body": False})

    return call
