"""Requests as httptools reads them, but for offers to speak another protocol: they are passed over (RFC 9110, 7.8).

httptools takes such a request to be over with its head and reads nothing after it. Java's own client makes the offer
with each of its requests.
"""

from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_FRAMING: Final = (b"content-length", b"transfer-encoding")


class Parser:
    """Reads the requests of one connection."""

    def __init__(self, heard: HttpToolsProtocol) -> None:
        self._heard = heard
        self._reading = _parser(heard)

    def feed_data(self, data: bytes) -> None:
        """Read on; raises httptools.HttpParserError."""
        left = memoryview(data)
        while left:
            try:
                self._reading.feed_data(left)
            except httptools.HttpParserUpgrade as offer:
                left = left[offer.args[0] :]
                self._pass_over()
            else:
                return

    def get_http_version(self) -> str:
        """Return the version that the request names."""
        return self._reading.get_http_version()

    def get_method(self) -> bytes:
        """Return the method of the request."""
        return self._reading.get_method()

    def should_keep_alive(self) -> bool:
        """Tell whether more may come after the request."""
        return self._reading.should_keep_alive()

    def should_upgrade(self) -> bool:
        """Tell whether the request offers another protocol, and its body was not begun."""
        return self._reading.should_upgrade()

    def _pass_over(self) -> None:
        """Read what follows as the body of the request with the offer, and then as further requests."""
        self._reading = _parser(_Rest(self._heard))
        fields = [name + b": " + value + b"\r\n" for name, value in self._heard.headers if name in _FRAMING]
        self._reading.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(fields) + b"\r\n")


class _Rest:
    """Tells of a request's body, and of all requests after it, but not of the head it is read with."""

    def __init__(self, heard: HttpToolsProtocol) -> None:
        self._heard = heard
        self._is_in_head = True
        self.on_body = heard.on_body
        self.on_message_complete = heard.on_message_complete

    def on_message_begin(self) -> None:
        if not self._is_in_head:
            self._heard.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._is_in_head:
            self._heard.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_in_head:
            self._heard.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_in_head:
            self._is_in_head = False
        else:
            self._heard.on_headers_complete()


def _parser(heard: "HttpToolsProtocol | _Rest") -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(heard)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
