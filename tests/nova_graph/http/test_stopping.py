"""A service that is asked to stop, and what the next one finds."""

import json
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.nova_graph.http.pictures import png
from tests.nova_graph.http.serving import Tree, adding, handed_in, one, serving, stop, waiting


def test_a_service_stops_in_order_and_the_next_goes_on(tmp_path: Path) -> None:
    ended = threading.Event()
    seen: list[str] = []
    with serving(tmp_path) as first:

        def follow(path: str) -> None:
            with first.client() as client, client.stream("GET", path) as stream:
                for line in stream.iter_lines():
                    seen.append(line)
                    if "started" in line:
                        ended.set()

        with first.client() as client:
            done = handed_in(client, adding(1))
            picture = client.post("/v1/files", content=png(8, 8), headers={"Content-Type": "image/png"}).json()
            running = client.post("/v1/jobs", json={"graph": one("Wait", steps=30, pause=0.1)}).json()
            thread = threading.Thread(target=follow, args=(running["events_url"],))
            thread.start()
            assert ended.wait(30)
        stop(first.process)
        thread.join(30)
        assert not thread.is_alive()
        assert not any('"done"' in line for line in seen)
        assert first.process.returncode == 0
        assert "Traceback" not in first.log
    with serving(tmp_path) as second, second.client() as client:
        assert client.get(done["status_url"]).json() == {key: done[key] for key in done if key != "plan"}
        assert client.get(running["status_url"], params={"wait": 30}).json()["state"] == "done"
        assert [file["name"] for file in client.get("/v1/files").json()["files"]] == [picture["name"]]


def test_who_waits_is_told_how_the_job_stands(tmp_path: Path) -> None:
    with serving(tmp_path) as service, service.client() as client, ThreadPoolExecutor(2) as threads:

        def ask(path: str, body: Tree) -> httpx.Response:
            with service.client() as asking:
                return asking.post(path, json=body)

        client.post("/v1/jobs", json={"graph": waiting()})
        asked = [threads.submit(ask, "/v1/jobs?wait=60", {"graph": adding(1)}), threads.submit(ask, "/predict", {})]
        while len(client.get("/v1/jobs").json()["jobs"]) < 3:
            pass
        service.process.send_signal(signal.SIGTERM)
        answers = [each.result() for each in asked]
        service.process.kill()
    for answer in answers:
        assert (answer.status_code, answer.json()["state"]) == (202, "queued"), answer.text
        assert answer.headers["location"] == answer.json()["status_url"]
    assert "Traceback" not in service.log


def test_a_body_that_is_still_arriving_when_the_service_ends_is_told_so(tmp_path: Path) -> None:
    with serving(tmp_path) as service, socket.create_connection(("127.0.0.1", service.port), timeout=60) as raw:
        raw.sendall(
            b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        stop(service.process)
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert json.loads(body)["status"] == 503
    assert "Traceback" not in service.log
