"""Answers as uvicorn does not give them: in one piece, without chunks, and when the service waits no longer."""

import asyncio
from typing import cast

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPResponseStartEvent,
    Scope,
)
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from nova_graph.http.problems import Trouble, render


def in_one_piece(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """Send the head of an answer of known length together with its body: one wait for the network, and not two."""

    async def call(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        head: HTTPResponseStartEvent | None = None

        async def send_together(message: ASGISendEvent) -> None:
            nonlocal head
            if message["type"] == "http.response.start" and _has_body(message, cycle):
                head = message
            elif head is None:
                await send(message)
            else:
                first, head = head, None
                transport = cycle.transport
                cycle.transport = cast(asyncio.Transport, _HeadHeld(transport))
                try:
                    await send(first)
                    await send(message)
                finally:
                    cycle.transport = transport

        await app(scope, receive, send_together)

    return call


def _has_body(message: HTTPResponseStartEvent, cycle: RequestResponseCycle) -> bool:
    names = [name.lower() for name, _ in message.get("headers", [])]
    return cycle.scope["method"] != "HEAD" and b"content-length" in names


class _HeadHeld:
    """Stands in for a transport until a head and the beginning of its body are written."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Keep the first, and write it together with the second."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        else:
            self._head = data

    def close(self) -> None:
        """Close, once all is written."""
        self._transport.write(self._head)
        self._transport.close()


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
