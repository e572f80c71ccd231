"""Calls to a client's own server."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest

from tests.nova_graph.http.conftest import KEYS, WEBHOOK_SECRET
from tests.nova_graph.http.serving import Service, adding, handed_in, is_problem, one, serving

TOLD = {
    "NOVA_API_KEYS": KEYS[0],
    "NOVA_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "NOVA_WEBHOOK_NETWORKS": "127.0.0.1/32",
    "NOVA_WEBHOOK_HTTP": "1",
}


@dataclass
class Receiver:
    """A server that notes calls; it answers with these statuses in turn, the last one again and again."""

    statuses: list[int]
    location: str = ""
    calls: "Queue[tuple[dict[str, str], bytes]]" = field(default_factory=Queue)
    url: str = ""

    def next_status(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def receiving(*statuses: int, location: str = "") -> Iterator[Receiver]:
    """Run a server for webhooks."""
    receiver = Receiver(list(statuses), location)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.calls.put(({key.lower(): value for key, value in self.headers.items()}, body))
            self.send_response(receiver.next_status())
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook?for=me"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_webhook_is_called_and_signed(alice: httpx.Client) -> None:
    with receiving(200) as receiver:
        job = handed_in(alice, adding(700), webhook_url=receiver.url)
        headers, body = receiver.calls.get(timeout=30)
    secret = alice.get("/v1/webhook-secret").json()["secret"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert headers["webhook-id"] == job["id"]
    assert headers["host"] == httpx.URL(receiver.url).netloc.decode()
    assert "authorization" not in headers
    told = json.loads(body)
    assert (told["type"], told["data"]["id"], told["data"]["state"]) == ("job.done", job["id"], "done")


def test_a_failure_is_told_too_without_secrets(alice: httpx.Client, keyed: Service) -> None:
    with receiving(200) as receiver:
        handed_in(alice, one("Fail", text=f"at {keyed.folder}/cache/x"), webhook_url=receiver.url)
        _, body = receiver.calls.get(timeout=30)
    assert json.loads(body)["type"] == "job.failed"
    assert str(keyed.folder).encode() not in body


def test_a_call_that_fails_is_made_again(alice: httpx.Client) -> None:
    with receiving(500, 200) as receiver:
        handed_in(alice, adding(701), webhook_url=receiver.url)
        calls = [receiver.calls.get(timeout=30) for _ in range(2)]
    assert calls[0][1] == calls[1][1]


def test_jobs_that_a_kill_interrupts_are_told_all_the_same(tmp_path: Path) -> None:
    with receiving(200) as receiver:
        with serving(tmp_path, **TOLD) as first, first.client(KEYS[0]) as alice:
            graphs = [one("Wait", steps=3, pause=0.2), adding(750)]
            jobs = [alice.post("/v1/jobs", json={"graph": it, "webhook_url": receiver.url}).json() for it in graphs]
            first.process.kill()
            first.process.wait()
        with serving(tmp_path, **TOLD):
            told = {json.loads(receiver.calls.get(timeout=30)[1])["data"]["id"] for _ in jobs}
        assert told == {job["id"] for job in jobs}


def test_a_request_that_comes_again_is_not_told_again(alice: httpx.Client) -> None:
    with receiving(200) as receiver:
        body = {"graph": adding(706), "webhook_url": receiver.url}
        jobs = []
        for _ in range(3):
            jobs.append(alice.post("/v1/jobs", json=body, headers={"Idempotency-Key": "told-once"}).json()["id"])
            if len(jobs) == 1:
                _, first = receiver.calls.get(timeout=30)
        other = handed_in(alice, adding(707), webhook_url=receiver.url)
        _, second = receiver.calls.get(timeout=30)
    assert len(set(jobs)) == 1
    assert [json.loads(body)["data"]["id"] for body in (first, second)] == [jobs[0], other["id"]]


def test_no_redirect_is_followed(alice: httpx.Client) -> None:
    with receiving(200) as inside, receiving(307, location=inside.url) as receiver:
        handed_in(alice, adding(702), webhook_url=receiver.url)
        for _ in range(2):
            receiver.calls.get(timeout=30)
        assert inside.calls.empty()


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/"],
)
def test_addresses_inside_are_refused_at_once(alice: httpx.Client, url: str) -> None:
    assert is_problem(alice.post("/v1/jobs", json={"graph": adding(703), "webhook_url": url}), 422)


def test_a_name_of_this_machine_reaches_only_what_is_allowed(alice: httpx.Client, keyed: Service) -> None:
    with receiving(200) as receiver:
        port = httpx.URL(receiver.url).port
        handed_in(alice, adding(704), webhook_url=f"http://localhost:{port}/")
        headers, _ = receiver.calls.get(timeout=30)
    assert headers["host"] == f"localhost:{port}"


def test_without_a_secret_there_are_no_webhooks(client: httpx.Client) -> None:
    body = {"graph": adding(705), "webhook_url": "https://example.com/"}
    assert is_problem(client.post("/v1/jobs", json=body), 422)
    assert is_problem(client.get("/v1/webhook-secret"), 404)
