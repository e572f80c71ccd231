"""The command that runs a graph on a service."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr

from engine.events import Cached, Done, Failed, Fetching, Finished, Planned, Progress, Started, Warned
from nova_graph.cli.ndjson import event_tree
from nova_graph.http.client import ServiceClient, ServiceError
from nova_graph.http.heard import event_of
from tests.nova_graph.http.conftest import KEYS
from tests.nova_graph.http.pictures import png
from tests.nova_graph.http.serving import ROOT, Service, adding, environment, waiting


def size_of(path: Path) -> tuple[int, int]:
    """Return the size of a picture in pixels."""
    with Image.open(path) as picture:
        return picture.size


COPY = """\
nova: 1
inputs: {picture: {type: string}}
nodes:
  load: {type: LoadImage, inputs: {picture: $inputs.picture}}
  png: {type: Serializer, inputs: {image: $load.image}}
outputs: {file: $png.file}
"""

SMALL = ("--steps", "2", "--seed", "5")


def submit(service: Service, folder: Path, *arguments: str, key: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "nova_graph", "submit", *arguments, "--url", service.url],
        env=environment(folder, NOVA_API_KEY=key),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_graph_file_is_run_there_and_saved_here(service: Service, tmp_path: Path) -> None:
    done = submit(service, tmp_path, str(ROOT / "graphs" / "fast.yaml"), *SMALL)
    assert done.returncode == 0, done.stderr
    path = tmp_path / done.stdout.strip()
    assert path.parent.name == "outputs"
    assert "seed5" in path.name
    assert size_of(path) == (128, 128)
    assert "seed: 5" in done.stderr
    assert "Sampler" in done.stderr


def test_a_graph_of_the_service_is_run_by_name(service: Service, tmp_path: Path) -> None:
    done = submit(service, tmp_path, "fast", *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "done"
    assert Path(tmp_path / events[-1]["pictures"][0]["path"]).is_file()


def test_help_shows_the_flags_of_a_graph_that_only_the_service_knows(service: Service, tmp_path: Path) -> None:
    there = submit(service, tmp_path, "default", "--help")
    assert there.returncode == 0, there.stderr
    (tmp_path / "graphs").symlink_to(ROOT / "graphs")
    here = submit(service, tmp_path, "graphs/default.yaml", "--help")
    # Where lines are broken follows the length of the name.
    assert sorted(there.stdout.split()) == sorted(here.stdout.replace("default.yaml", "default").split())
    assert "--steps INTEGER" in there.stdout
    unknown = submit(service, tmp_path, "nobody", "--help")
    assert (unknown.returncode, "There is no graph 'nobody'" in unknown.stderr) == (2, True)


def test_pictures_of_this_machine_are_sent_in(service: Service, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(png(64, 64))
    (tmp_path / "copy.yaml").write_text(COPY)
    done = submit(service, tmp_path, "copy.yaml", "--picture", "mine.png")
    assert done.returncode == 0, done.stderr
    assert size_of(tmp_path / done.stdout.strip()) == (64, 64)
    assert "note: " not in done.stderr
    for words in (["copy.yaml"], ["img2img"]):
        absent = submit(service, tmp_path, *words, "--picture", "yours.png")
        assert "note: yours.png is no file here" in absent.stderr
        assert "There is no image 'yours.png'" in absent.stderr


def test_plain_outputs_are_printed(service: Service, tmp_path: Path) -> None:
    (tmp_path / "sum.json").write_text(json.dumps(adding(20, 22)))
    done = submit(service, tmp_path, "sum.json")
    assert (done.returncode, done.stdout) == (0, "sum: 42\n")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["nobody"], 2, "There is no graph 'nobody'"),
        (["gone.yaml"], 2, "there is no graph file gone.yaml"),
        (["fast", "--stps", "3"], 2, "did you mean --steps?"),
        (["fast", "--checkpoint", "nobody-knows"], 3, "nobody-knows"),
        (["bad.yaml"], 2, "bad.yaml:3:13"),
        (["fail.json"], 1, "no such luck"),
    ],
)
def test_what_goes_wrong_is_said(service: Service, tmp_path: Path, arguments: list[str], code: int, word: str) -> None:
    (tmp_path / "bad.yaml").write_text("nova: 1\nnodes:\n  a: {type: Numbr}\noutputs: {a: $a.value}\n")
    nodes = {"a": {"type": "Fail", "inputs": {"text": "no such luck"}}}
    (tmp_path / "fail.json").write_text(json.dumps({"nova": 1, "nodes": nodes, "outputs": {"a": "$a.value"}}))
    done = submit(service, tmp_path, *arguments)
    assert word in done.stderr
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_the_key_comes_from_the_environment(keyed: Service, tmp_path: Path) -> None:
    (tmp_path / "sum.json").write_text(json.dumps(adding(1)))
    assert submit(keyed, tmp_path, "sum.json", key=KEYS[0]).returncode == 0
    refused = submit(keyed, tmp_path, "sum.json")
    assert (refused.returncode, "A key is needed" in refused.stderr) == (1, True)
    assert "NOVA_API_KEY" in refused.stderr
    wrong = submit(keyed, tmp_path, "sum.json", key="another-key-0123456789")
    assert "another-key-0123456789" not in wrong.stdout + wrong.stderr


def interrupted(service: Service, folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the command in a folder, send it a Ctrl-C once a node runs, and return its exit code and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nova_graph", "submit", *arguments, "--url", service.url],
        env=environment(folder),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "started" in line:
            break
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    process.stderr.close()
    return process.wait(60), said


def test_ctrl_c_stops_the_job(service: Service, tmp_path: Path) -> None:
    (tmp_path / "wait.json").write_text(json.dumps(waiting()))
    code, said = interrupted(service, tmp_path, "wait.json")
    assert code == 130, said
    assert "cancelled" in said


def test_a_service_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with (
        ServiceClient("http://127.0.0.1:1", SecretStr("")) as client,
        pytest.raises(ServiceError, match="reached: Connection refused"),
    ):
        client.schema("default")


@pytest.mark.parametrize("url", ["127.0.0.1:1", "localhost:8000", "example.com", "http://", "ftp://x", ""])
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(ServiceError, match="is no address") as caught:
        ServiceClient(url, SecretStr(""))
    assert "http://127.0.0.1:8000" in caught.value.hint


def test_a_key_that_can_be_none_is_said() -> None:
    with pytest.raises(ServiceError, match="plain ASCII") as caught:
        ServiceClient("http://127.0.0.1:1", SecretStr("schl\u00fcssel"))
    assert "NOVA_API_KEY" in caught.value.hint


def test_events_that_break_off_as_the_job_ends_are_fetched_to_the_last() -> None:
    streams = [b'data: {"event": "started"}\nid: 1\n\n', b'data: {"event": "done"}\nid: 2\n\n']

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(streams.pop(0) if self.path.endswith("/events") else b'{"state": "done"}')

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        with ServiceClient(f"http://127.0.0.1:{server.server_address[1]}", SecretStr("")) as client:
            assert [event["event"] for event in client.events("x")] == ["started", "done"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_is_no_service_is_said(tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.handle_request, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with ServiceClient(url, SecretStr("")) as client, pytest.raises(ServiceError, match="does not answer like"):
        client.schema("default")
    thread.join()
    server.server_close()


def test_a_request_that_was_sent_twice_is_one_job(service: Service) -> None:
    with service.client() as plain, ServiceClient(service.url, SecretStr("")) as client:
        job = client.submit(adding(5000), {})
        events = list(client.events(job["id"]))
        assert events[-1]["outputs"] == {"sum": 5001}
        assert isinstance(plain, httpx.Client)


@pytest.mark.parametrize(
    "event",
    [
        Planned(seconds=0.5, nodes=("a", "b"), to_run=("b",)),
        Fetching(seconds=1.0, node="a", type="T", done=5, total=None, what="x"),
        Started(seconds=1.0, node="a", type="T"),
        Progress(seconds=1.0, node="a", type="T", step=1, total=2, preview=b"\xff\xd8"),
        Progress(seconds=1.0, node="a", type="T", step=1, total=2),
        Warned(seconds=1.0, node="a", type="T", text="careful"),
        Cached(seconds=1.0, node="a", type="T", where="disk"),
        Finished(seconds=1.0, node="a", type="T", took=0.25),
        Failed(seconds=1.0, node="a", type="T", error="no"),
        Done(seconds=1.0, outcome="ok", ran=1, cached=2),
    ],
)
def test_an_event_comes_back_as_it_was(event: Planned) -> None:
    heard = event_of(json.loads(json.dumps(event_tree(event, previews=True))))
    assert heard == event
    assert type(heard) is type(event)
    assert len(fields(event)) > 1


@pytest.mark.parametrize(
    "tree", [{}, {"event": "queued", "position": 1}, {"event": "done"}, {"event": "warned", "text": "x"}, {"event": 1}]
)
def test_events_of_the_service_itself_are_no_events_of_a_run(tree: dict[str, object]) -> None:
    assert event_of(tree) is None  # type: ignore[arg-type]


def test_no_key_on_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nova_graph", "submit", "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "NOVA_API_KEY" in done.stdout
    assert "--key" not in done.stdout
