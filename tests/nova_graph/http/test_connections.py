"""Clients that are slow, broken or rude."""

import contextlib
import json
import select
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from nova_graph.http.connections import HEAD_BYTES
from tests.nova_graph.http.conftest import KEYS
from tests.nova_graph.http.serving import Service, adding, handed_in, is_problem, one


@contextlib.contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    """Open a plain connection."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as raw:
        yield raw


def rest(raw: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := raw.recv(65536):
            parts.append(part)
    return b"".join(parts)


def trickle(raw: socket.socket, count: int) -> None:
    """Send headers, one every twentieth of a second."""
    for _ in range(count):
        raw.sendall(b"X-More: 1\r\n")
        time.sleep(0.05)


HEAD = f"POST /v1/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS[0]}\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET /health HTTP/1.1\r\nHost: x\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        HEAD.encode() + b"Content-Length: 100\r\n\r\n{",
        HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
)
def test_a_request_that_never_ends_is_ended(keyed: Service, sent: bytes) -> None:
    with connected(keyed) as raw:
        raw.sendall(sent)
        assert b" 200 " not in rest(raw)


def test_a_request_that_trickles_is_ended(keyed: Service) -> None:
    with connected(keyed) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            trickle(raw, 600)


def test_many_slow_clients_keep_nobody_else_waiting(keyed: Service) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connected(keyed)).sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        with keyed.client(KEYS[0]) as alice:
            assert handed_in(alice, adding(800))["state"] == "done"
    assert keyed.is_well()


def test_a_head_without_end_is_refused(service: Service) -> None:
    with connected(service) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\n")
        answer = raw.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        # Not a byte more than is refused: what the server does not read may cost the client its answer.
        raw.sendall(b"X-Header: ".ljust(HEAD_BYTES + 1, b"x"))
        answer += rest(raw)
    assert b"HTTP/1.1 431 " in answer
    assert service.is_well()


def fields(total: int) -> bytes:
    """Return header fields that are so long together."""
    field = b"X-Field: ".ljust(1022, b"x") + b"\r\n"
    count = total // len(field) - 1
    return field * count + b"X-Last: ".ljust(total - count * len(field) - 2, b"x") + b"\r\n"


def test_a_head_that_is_too_long_is_refused_where_it_comes_at_once(service: Service) -> None:
    line = b"GET /health HTTP/1.1\r\n"
    with connected(service) as raw:
        raw.sendall(line + b"Host: localhost\r\n" + fields(HEAD_BYTES - 200) + b"Connection: close\r\n\r\n")
        assert rest(raw).startswith(b"HTTP/1.1 200 ")
    with connected(service) as raw:
        raw.sendall(line + b"Host: localhost\r\n" + fields(HEAD_BYTES))
        answer = rest(raw)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    with connected(service) as raw:
        raw.sendall(line + b"X-Header: ".ljust(HEAD_BYTES + 1 - len(line), b"x"))
        assert rest(raw).startswith(b"HTTP/1.1 431 ")
    assert service.is_well()


def test_requests_that_are_short_are_answered_however_many_come_at_once(service: Service) -> None:
    one = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-More: %s\r\n" % (b"x" * 10_000)
    with connected(service) as raw:
        raw.sendall((one + b"\r\n") * 10 + one)
        raw.sendall(b"Connection: close\r\n\r\n")
        assert rest(raw).count(b"HTTP/1.1 200 ") == 11


def test_trailers_without_end_are_refused(service: Service) -> None:
    head = (
        b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    )
    with connected(service) as raw:
        # Not a byte more than is refused: what the server does not read may cost the client its answer.
        raw.sendall(head + fields(HEAD_BYTES + 1) + b"X")
        answer = rest(raw)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert service.is_well()


def test_a_client_that_does_not_take_the_answers_is_left(keyed: Service) -> None:
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", keyed.port))
        raw.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 300)
        ends = select.poll()
        ends.register(raw, 0)
        assert ends.poll(30_000)


def test_one_address_may_have_so_many_connections(service: Service, client: httpx.Client) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(151):
            stack.enter_context(connected(service))
        refused = client.get("/health")
        assert is_problem(refused, 503)
        assert refused.headers["retry-after"]
        elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=elsewhere, base_url=service.url, timeout=30) as other:
            assert other.get("/health").status_code == 200
    while client.get("/health").status_code == 503:
        pass


@pytest.mark.parametrize(
    "sent",
    [
        b"HELO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nBad Header: 1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        HEAD.encode() + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD.encode() + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=range(9),
)
def test_what_is_no_http_is_refused(keyed: Service, sent: bytes) -> None:
    with connected(keyed) as raw:
        raw.sendall(sent)
        answer = rest(raw)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert answer == b"" or b"application/problem+json" in answer
    assert b"Traceback" not in answer


def test_clients_that_go_away(service: Service) -> None:
    body = b'{"graph": {"nova": 1, "nodes": {}, "outputs": {}}}'
    request = (
        b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    for cut in (0, 10, len(body) - 1, len(body)):
        with connected(service) as raw:
            raw.sendall(request % len(body) + body[:cut])
            raw.shutdown(socket.SHUT_WR)
            assert b" 500 " not in rest(raw)
        with connected(service) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            raw.sendall(request % len(body) + body[:cut])
    assert service.is_well()


def test_requests_in_a_row_on_one_connection(service: Service) -> None:
    with connected(service) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert rest(raw).count(b"HTTP/1.1 200 ") == 21


def test_a_web_socket_is_not_spoken(service: Service) -> None:
    with connected(service) as raw:
        raw.sendall(
            b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        raw.settimeout(5)
        assert b" 101 " not in raw.recv(65536)
    assert service.is_well()


def test_an_answer_is_sent_in_one_piece(service: Service) -> None:
    with connected(service) as raw:
        for _ in range(3):
            raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, _, body = raw.recv(65536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert f"content-length: {len(body)}".encode() in head
            assert body


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_answer_that_ends_the_connection_is_whole(service: Service, version: str) -> None:
    with connected(service) as raw:
        raw.sendall(f"GET /openapi.json HTTP/{version}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = rest(raw).partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head
        assert json.loads(body)["openapi"]


def test_a_head_alone_is_sent(service: Service) -> None:
    with connected(service) as raw:
        raw.sendall(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head, _, body = rest(raw).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 ")
        assert body == b""


SUM = json.dumps({"graph": adding(1)}).encode()


def posted(path: str, body: bytes, *fields: str) -> bytes:
    """Return a request with the first key."""
    more = "".join(f"{field}\r\n" for field in (f"Content-Length: {len(body)}", *fields))
    return HEAD.replace("/v1/check", path).encode() + more.encode() + b"\r\n" + body


def taking(seconds: float) -> bytes:
    """Return the body of a job that takes so long."""
    return json.dumps({"graph": one("Wait", steps=round(seconds * 10), pause=0.1)}).encode()


@pytest.mark.parametrize("noise", [b"NOISE \x01\r\n\r\n", b"GET /health HTTP/1.1\r\nX: ".ljust(HEAD_BYTES + 100, b"x")])
@pytest.mark.parametrize("apart", [False, True])
def test_noise_after_a_request_does_not_spoil_its_answer(keyed: Service, noise: bytes, apart: bool) -> None:
    request = posted("/v1/jobs?wait=30", taking(0.5))
    with connected(keyed) as raw:
        raw.sendall(request if apart else request + noise)
        if apart:
            with keyed.client(KEYS[0]) as alice:
                while alice.get("/v1/jobs?limit=1").json()["jobs"][0]["state"] != "running":
                    pass
            raw.sendall(noise)
        answer = rest(raw)
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert b'"state":"done"' in answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_request_that_waits_for_another_has_its_time_afterwards(keyed: Service) -> None:
    with connected(keyed) as raw:
        request = posted("/v1/check", SUM, "Connection: close")
        raw.sendall(posted("/v1/jobs?wait=30", taking(2.5)) + request[:-10])
        answer = raw.recv(65536)
        raw.sendall(request[-10:])
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert b'"state":"done"' in answer
        assert rest(raw).startswith(b"HTTP/1.1 200 ")


def test_who_says_no_more_is_answered(keyed: Service) -> None:
    asked = posted("/v1/jobs?wait=30", taking(0.5))
    half = b"GET /health HTTP/1.1\r\n"
    body = posted("/v1/check", SUM)[:-1]
    for requests, count in ((asked, 1), (asked + half, 1), (asked + body, 1), (asked + asked, 2), (half, 0), (body, 0)):
        with connected(keyed) as raw:
            raw.sendall(requests)
            raw.shutdown(socket.SHUT_WR)
            answers = rest(raw)
        assert answers.count(b"HTTP/1.1 202 ") == answers.count(b"HTTP/1.1 ") == count, requests
        assert answers.count(b'"state":"done"') == count


OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_an_offer_of_another_protocol_is_passed_over(keyed: Service, piece: int) -> None:
    chunked = HEAD + "".join(f"{field}\r\n" for field in (*OFFER, "Transfer-Encoding: chunked")) + "\r\n"
    health = "GET /health HTTP/1.1\r\nHost: x\r\n"
    requests = (
        posted("/v1/check", SUM, *OFFER)
        + chunked.encode()
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(SUM), SUM)
        + f"{health}{OFFER[0]}\r\n{OFFER[1]}\r\n\r\n".encode()
        + posted("/v1/check", SUM, *OFFER)
        + f"{health}Connection: close\r\n\r\n".encode()
    )
    with connected(keyed) as raw:
        for start in range(0, len(requests), piece):
            raw.sendall(requests[start : start + piece])
        answers = rest(raw)
    assert answers.count(b"HTTP/1.1 200 ") == 5, answers
    assert answers.count(b'{"nodes":2,"warnings":[]}') == 3
    assert answers.count(b'"status":"ok"') == 2
    assert "Upgrade" not in keyed.log
    assert "WebSocket" not in keyed.log


def test_offers_are_passed_over_however_many_come_at_once(service: Service) -> None:
    offer = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    with connected(service) as raw:
        raw.sendall(offer * 2000 + b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert rest(raw).count(b"HTTP/1.1 200 ") == 2001
    assert service.is_well()


def test_a_body_after_an_offer_is_no_less_checked(keyed: Service) -> None:
    with connected(keyed) as raw:
        fields = "".join(f"{field}\r\n" for field in (*OFFER, "Transfer-Encoding: chunked"))
        raw.sendall(f"{HEAD}{fields}\r\nzz\r\n".encode())
        assert rest(raw).startswith(b"HTTP/1.1 400 ")
