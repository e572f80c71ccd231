"""A real HTTP server on this machine that behaves as badly as asked."""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["Request"], object]


class Request(BaseHTTPRequestHandler):
    """One request, and the means to answer it."""

    protocol_version = "HTTP/1.1"
    server: "FileServer"

    def do_GET(self) -> None:
        self.server.note(self)
        self.close_connection = True
        with contextlib.suppress(ConnectionError):
            self.server.next_behaviour()(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class FileServer(ThreadingHTTPServer):
    """Plays a list of behaviours, one a request; the last is repeated. Keeps path and headers of every request."""

    daemon_threads = True

    def __init__(self, *behaviours: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.behaviours = list(behaviours)
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def address(self, path: str = "/anime.safetensors", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def note(self, request: Request) -> None:
        with self._lock:
            self.paths.append(request.path)
            self.headers.append({name.lower(): value for name, value in request.headers.items()})

    def next_behaviour(self) -> Behaviour:
        with self._lock:
            return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that go away."""


@contextmanager
def serving(*behaviours: Behaviour) -> Iterator[FileServer]:
    server = FileServer(*behaviours)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def whole(data: bytes, *, etag: str = '"one"', extra: Mapping[str, str] | None = None, stop: int = -1) -> Behaviour:
    """Give the file, or its rest where Range and If-Range ask for it; cut the line after `stop` bytes of the file."""

    def behave(request: Request) -> None:
        start = _start(request, etag, len(data))
        body = data[start:]
        headers = {"Content-Length": str(len(body)), "Content-Type": "application/octet-stream"}
        headers |= {"ETag": etag} if etag else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        sent = body if stop < 0 else body[: max(0, stop - start)]
        request.answer(206 if start else 200, headers | dict(extra or {}), sent)

    return behave


def status(code: int, headers: Mapping[str, str] | None = None, body: bytes = b"{}") -> Behaviour:
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))} | dict(headers or {})
    return lambda request: request.answer(code, fields, body)


def redirect(address: str, headers: Mapping[str, str] | None = None) -> Behaviour:
    return status(302, {"Location": address, **(headers or {})}, b"")


def page(text: bytes = b"<!doctype html><title>Log in</title>") -> Behaviour:
    return status(200, {"Content-Type": "text/html; charset=utf-8"}, text)


def stalling(data: bytes, sent: int, go: threading.Event, *, etag: str = '"one"') -> Behaviour:
    """Give `sent` bytes of the file, then wait for `go` before giving the rest."""

    def behave(request: Request) -> None:
        request.answer(200, {"Content-Length": str(len(data)), "ETag": etag}, data[:sent])
        go.wait(30)
        request.wfile.write(data[sent:])

    return behave


def _start(request: Request, etag: str, size: int) -> int:
    wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    if wanted is None or (request.headers.get("If-Range", "") not in ("", etag)) or not etag:
        return 0
    return int(wanted[1]) if int(wanted[1]) < size else 0
