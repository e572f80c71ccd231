"""The stream of a job's events."""

import json
import socket
from collections.abc import Iterator

import httpx

from tests.nova_graph.http.serving import Service, adding, handed_in, is_problem, one, waiting


def numbered(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield (number, event) of a stream as a browser would read it."""
    data = ""
    for line in lines:
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
        elif line.startswith("id: "):
            yield int(line.removeprefix("id: ")), json.loads(data)


def test_the_events_of_a_job_come_in_order_to_the_last(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json={"graph": adding(51)}).json()
    with client.stream("GET", job["events_url"]) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = list(numbered(stream.iter_lines()))
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    names = [event["event"] for _, event in events]
    assert names[:2] == ["queued", "running"]
    assert names[-1] == "done"
    assert names.count("finished") == 2
    assert events[-1][1]["outputs"] == {"sum": 52}


def test_a_stream_is_taken_up_where_it_broke(client: httpx.Client) -> None:
    job = handed_in(client, adding(52))
    whole = list(numbered(iter(client.get(job["events_url"]).text.splitlines())))
    for last in range(1, len(whole)):
        rest = client.get(job["events_url"], headers={"Last-Event-ID": str(last)})
        assert list(numbered(iter(rest.text.splitlines()))) == whole[last:]
    for last in (len(whole), len(whole) + 1, 2**53):
        assert client.get(job["events_url"], headers={"Last-Event-ID": str(last)}).status_code == 204


def test_a_stream_that_breaks_in_the_middle_of_a_run_loses_nothing(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json={"graph": one("Wait", steps=60)}).json()
    seen: list[tuple[int, dict[str, object]]] = []
    while not seen or seen[-1][1]["event"] != "done":
        headers = {"Last-Event-ID": str(seen[-1][0])} if seen else {}
        with client.stream("GET", job["events_url"], headers=headers) as stream:
            for count, event in enumerate(numbered(stream.iter_lines())):
                seen.append(event)
                if count == 10:
                    break
    assert [number for number, _ in seen] == list(range(1, len(seen) + 1))
    assert [event for _, event in seen if event["event"] == "progress"][-1]["step"] == 60


def test_a_client_of_http_1_0_gets_the_events_without_chunks(service: Service, client: httpx.Client) -> None:
    job = handed_in(client, adding(53))
    path = httpx.URL(job["events_url"]).path
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as raw:
        raw.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body.decode() == client.get(path).text
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as raw:
        raw.sendall(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head, _, body = b"".join(iter(lambda: raw.recv(65536), b"")).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body)["status"] == "ok"


def test_progress_carries_previews(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json={"graph": one("Wait", steps=40)}).json()
    with client.stream("GET", job["events_url"]) as stream:
        events = [event for _, event in numbered(stream.iter_lines())]
    assert any("preview" in event for event in events if event["event"] == "progress")


def test_a_last_event_id_must_be_a_number(client: httpx.Client) -> None:
    job = handed_in(client, adding(53))
    for wrong in ("x", "-1", "1.5", "9" * 40):
        assert is_problem(client.get(job["events_url"], headers={"Last-Event-ID": wrong}), 422)


def test_a_follower_who_goes_away_leaves_nothing_behind(service: Service, client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json={"graph": waiting()}).json()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", service.port)) as raw:
            raw.sendall(f"GET {job['events_url']} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert raw.recv(100).startswith(b"HTTP/1.1 200")
    client.delete(job["status_url"])
    assert client.get(job["status_url"], params={"wait": 30}).json()["state"] == "cancelled"
    assert service.is_well()
