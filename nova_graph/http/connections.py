"""Connections that cannot be held open for nothing, are not too many, and whose heads cannot grow without end."""

import asyncio
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from nova_graph.http.answers import ending_with_the_connection, ending_with_the_service, in_one_piece
from nova_graph.http.parser import Parser

HEAD_BYTES: Final = 64 << 10
"""How long the head of a request may be, and what comes after its body."""

SLOWEST: Final = 1024
"""Bytes of an answer that a client takes in a second at least."""

CONNECTIONS: Final = 1000
"""Connections of all clients together."""


class HeadTooLong(Exception):
    """The head of a request, or what comes after its body, is too long; nothing more of it is read."""


@dataclass(frozen=True, slots=True)
class Doors:
    """How many connections there may be, how long they may wait, and how many each address has."""

    seconds: float
    """How long a client may take to send a whole request, its body included, or pause in taking an answer."""
    each: int
    """Connections of one address."""
    open: Counter[str] = field(default_factory=Counter)


class BoundedProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, with deadlines both ways, bounded heads and numbers, and errors as problem JSON."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        doors: Doors,
    ) -> None:
        """Speak with one client."""
        super().__init__(config, server_state, app_state, _loop)
        self.parser = Parser(self)  # type: ignore[assignment]
        self._doors = doors
        self._deadline: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._answering: RequestResponseCycle | None = None
        self._overhead = 0
        """Bytes since the request began or the last piece of its body."""
        self._fields = 0
        """Bytes of them that are in whole fields of the head, or after the body."""
        self._arrived = 0
        """Bytes that came in one piece with the beginning of the next request, 0 where another one ended in it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, unless there are too many connections."""
        super().connection_made(transport)
        self._doors.open[self._address] += 1
        self._set_deadline()
        if len(self.connections) > CONNECTIONS or self._doors.open[self._address] > self._doors.each:
            self._refuse(503, "Service Unavailable", "There are too many connections.", b"retry-after: 5\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._doors.open[self._address] -= 1
        if not self._doors.open[self._address]:
            del self._doors.open[self._address]
        self._clear_deadline()
        self._clear_writing()
        # uvicorn sees to the newest of several requests in a row only, not to the one that is being answered.
        self.pipeline.clear()
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless what is no body has become too long, or nothing is answered after this answer."""
        at_work = self._at_work
        if self.transport.is_closing() or (at_work is not None and not at_work.keep_alive):
            return
        self._overhead += len(data)
        self._arrived = len(data)
        super().data_received(data)
        if self._overhead > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, "Request Header Fields Too Large")

    def eof_received(self) -> bool:  # type: ignore[override]
        """Close; but first answer what came whole: a client may close its own side once it has asked."""
        at_work = self._at_work
        if at_work is None or at_work.response_started:
            return False
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else at_work
        last.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._overhead = self._arrived
        self._fields = 0
        self._set_deadline()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address; raises HeadTooLong."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head, or one after the body; raises HeadTooLong."""
        self._count(len(name) + len(": \r\n") + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is over."""
        self._overhead = self._fields = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that what came was body."""
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is whole, unless its body is still to be read; see `Parser`."""
        if self.parser.should_upgrade():
            return
        self._clear_deadline()
        self._overhead = self._arrived = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Begin to wait for the client to take what was written."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Stop waiting: it was taken."""
        self._clear_writing()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Wait for the client to take the rest, and to send the rest of the next request."""
        super().on_response_complete()
        self._watch_writing()
        if self._deadline is not None:
            self._set_deadline()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless it was answered why no more of it is read."""
        if not self.transport.is_closing():
            self._refuse(400, "Bad Request", msg)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        ending = ending_with_the_connection(ending_with_the_service(app, cycle), cycle)
        super()._start_asgi_task(cycle, in_one_piece(ending, cycle))

    def _count(self, size: int) -> None:
        self._fields += size
        if self._fields > HEAD_BYTES:
            self._refuse(431, "Request Header Fields Too Large")
            raise HeadTooLong

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    @property
    def _at_work(self) -> RequestResponseCycle | None:
        """The request that came whole and is not answered to the end yet."""
        answering = self._answering
        return None if answering is None or answering.more_body or answering.response_complete else answering

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing of offers of other protocols."""

    def _refuse(self, status: int, title: str, detail: str = "", header: bytes = b"") -> None:
        """Answer and close; where an answer has begun already, only close.

        What comes after a whole request does not spoil its answer: that one is given, as the last.
        """
        at_work = self._at_work
        if at_work is not None:
            at_work.keep_alive = False
            self.pipeline.clear()
            self._clear_deadline()
            return
        answering = self._answering
        if answering is None or answering.response_complete or not answering.response_started:
            body = f'{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail or title}"}}'.encode()
            head = (
                b"content-type: application/problem+json\r\nconnection: close\r\n" + header + b"content-length: "
                b"%d\r\n\r\n" % len(body)
            )
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
        self._watch_writing()

    def _set_deadline(self) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(self._doors.seconds, self._time_out)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _time_out(self) -> None:
        if self._at_work is not None:
            self._set_deadline()
        elif not self.transport.is_closing():
            self.transport.close()

    def _watch_writing(self) -> None:
        """Look after a while whether the client took enough; nothing is added meanwhile but by a new answer."""
        self._clear_writing()
        left = self.transport.get_write_buffer_size()
        if left:
            self._writing = self.loop.call_later(self._doors.seconds, self._check_writing, left)

    def _check_writing(self, before: int) -> None:
        if self.transport.get_write_buffer_size() > before - SLOWEST * self._doors.seconds:
            # Without this, the system would keep what it has of the answer for a client that does not take it.
            at_once = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            self.transport.abort()
        else:
            self._watch_writing()

    def _clear_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
