"""The command that runs a graph on a service once for each of several values."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.nova_graph.http.conftest import KEYS
from tests.nova_graph.http.pictures import png
from tests.nova_graph.http.serving import ROOT, Service, serving, wait_until_ready
from tests.nova_graph.http.test_submit import COPY, interrupted, submit

SUM = """\
nova: 1
inputs:
  left: {type: integer, default: 1}
  right: {type: integer, default: 1}
nodes:
  sum: {type: Add, inputs: {left: $inputs.left, right: $inputs.right}}
outputs: {sum: $sum.value}
"""


def jobs_of(service: Service) -> list[dict[str, Any]]:
    """Return the newest jobs of a service."""
    with service.client() as client:
        jobs: list[dict[str, Any]] = client.get("/v1/jobs", params={"limit": 100}).json()["jobs"]
    return jobs


def test_every_combination_is_run_in_order(service: Service, tmp_path: Path) -> None:
    (tmp_path / "sum.yaml").write_text(SUM)
    done = submit(service, tmp_path, "sum.yaml", "--sweep", "left=10,20", "--sweep", "right=1,2,3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"sum: {left + right}" for left in (10, 20) for right in (1, 2, 3)]
    assert "6 of 6: left=20, right=3" in done.stderr
    assert done.stderr.endswith("6 runs, 0 failed\n")


@pytest.mark.parametrize("graph", ["fast", str(ROOT / "graphs" / "fast.yaml")])
def test_pictures_have_one_seed_and_stand_on_one_sheet(service: Service, tmp_path: Path, graph: str) -> None:
    done = submit(service, tmp_path, graph, "--sweep", "steps=2,3", "--grid")
    assert done.returncode == 0, done.stderr
    first, second, sheet = (tmp_path / line for line in done.stdout.splitlines())
    seed = next(line for line in done.stderr.splitlines() if line.startswith("seed: ")).removeprefix("seed: ")
    assert f"seed{seed}" in first.name
    assert f"seed{seed}" in second.name
    assert first.read_bytes() != second.read_bytes()
    assert sheet.name.startswith("fast-grid-")
    with Image.open(sheet) as picture:
        assert picture.width > 2 * 128


def test_swept_pictures_of_this_machine_are_sent_in(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(64, 64))
    (tmp_path / "b.png").write_bytes(png(128, 64))
    (tmp_path / "copy.yaml").write_text(COPY)
    done = submit(service, tmp_path, "copy.yaml", "--sweep", "picture=a.png,b.png")
    assert done.returncode == 0, done.stderr
    sizes = []
    for line in done.stdout.splitlines():
        with Image.open(tmp_path / line) as picture:
            sizes.append(picture.size)
    assert sizes == [(64, 64), (128, 64)]


def test_a_picture_that_all_runs_have_is_looked_for_once(service: Service, tmp_path: Path) -> None:
    graph = str(ROOT / "graphs" / "img2img.yaml")
    done = submit(service, tmp_path, graph, "--picture", "yours.png", "--sweep", "steps=2,3,4")
    assert done.stderr.count("note: yours.png is no file here") == 1
    assert "There is no image 'yours.png'" in done.stderr
    assert done.returncode == 3


def test_one_that_fails_spoils_no_other(service: Service, tmp_path: Path) -> None:
    (tmp_path / "exit.yaml").write_text(
        "nova: 1\ninputs: {left: {type: integer, default: 1}}\nnodes:\n"
        "  number: {type: Number, inputs: {value: $inputs.left}}\n"
        "  fail: {when: $inputs.left == 2, type: Fail, inputs: {text: no such luck}, else: {value: $number.value}}\n"
        "outputs: {sum: $fail.value}\n"
    )
    done = submit(service, tmp_path, "exit.yaml", "--sweep", "left=1,2,3")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["sum: 1", "sum: 3"]
    assert "no such luck" in done.stderr
    assert done.stderr.endswith("3 runs, 1 failed\n")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["sum.yaml", "--sweep", "left=1,x"], 2, "--sweep left must be"),
        (["sum.yaml", "--sweep", "lefft=1,2"], 2, "did you mean"),
        (["sum.yaml", "--left", "1", "--sweep", "left=1,2"], 2, "given twice"),
        (["sum.yaml", "--grid"], 2, "--grid shows the pictures of a sweep"),
        (["fast", "--steps", "1", "--sweep", "steps=1,2"], 2, "given twice"),
        (["fast", "--sweep", "steps=1,-2"], 2, "steps"),
        (["fast", "--sweep", "checkpoint=nova-nano,nobody-knows"], 3, "nobody-knows"),
        (["nobody", "--sweep", "cfg=1,2"], 2, "There is no graph 'nobody'"),
        (["fast", "--sweep", "steps=1,2", "--out", "/proc/nowhere"], 2, "cannot be written"),
    ],
)
def test_a_mistake_in_any_of_them_hands_in_none(
    service: Service, tmp_path: Path, arguments: list[str], code: int, word: str
) -> None:
    (tmp_path / "sum.yaml").write_text(SUM)
    before = jobs_of(service)
    done = submit(service, tmp_path, *arguments)
    assert word in done.stderr
    assert (done.returncode, done.stdout) == (code, "")
    assert jobs_of(service)[:1] == before[:1]


def test_a_service_that_takes_few_jobs_gets_them_little_by_little(tmp_path: Path) -> None:
    (tmp_path / "sum.yaml").write_text(SUM)
    with serving(tmp_path / "service", NOVA_API_KEYS=KEYS[0], NOVA_JOBS_PER_KEY="2") as service:
        wait_until_ready(service)
        done = submit(service, tmp_path, "sum.yaml", "--sweep", "left=1,2,3,4,5,6,7", key=KEYS[0])
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [f"sum: {left + 1}" for left in range(1, 8)]


@contextmanager
def losing_an_answer(service: Service) -> Iterator[str]:
    """Pass requests on to a service; lose its answer to the first job, then refuse one as one too many."""
    lost: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/jobs" and len(lost) == 1:
                lost.append("refused")
                self.send_response(429)
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.pass_on(body)

        def do_GET(self) -> None:
            self.pass_on(b"")

        def pass_on(self, body: bytes) -> None:
            kept = ("content-type", "idempotency-key", "last-event-id")
            headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
            with service.client() as client:
                answer = client.request(self.command, self.path, content=body, headers=headers)
            self.close_connection = True
            if self.path == "/v1/jobs" and not lost:
                lost.append("lost")
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["content-type"])
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_answer_that_is_lost_makes_no_second_job(service: Service, tmp_path: Path) -> None:
    (tmp_path / "sum.yaml").write_text(SUM)
    with losing_an_answer(service) as url:
        done = submit(replace(service, url=url), tmp_path, "sum.yaml", "--sweep", "left=71,72")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["sum: 72", "sum: 73"]
    assert [job["inputs"].get("left") for job in jobs_of(service)[:3]].count(71) == 1


def test_a_single_job_whose_answer_is_lost_is_followed_all_the_same(service: Service, tmp_path: Path) -> None:
    with losing_an_answer(service) as url:
        done = submit(replace(service, url=url), tmp_path, "fast", "--steps", "2", "--seed", "71")
    assert done.returncode == 0, done.stderr
    assert "seed71" in done.stdout
    assert [job["inputs"].get("seed") for job in jobs_of(service)[:3]].count(71) == 1


def test_ctrl_c_stops_all_of_them(service: Service, tmp_path: Path) -> None:
    waiting = "nova: 1\ninputs: {pause: {type: number, default: 1}}\nnodes:\n"
    waiting += "  it: {type: Wait, inputs: {steps: 90, pause: $inputs.pause}}\noutputs: {it: $it.value}\n"
    (tmp_path / "wait.yaml").write_text(waiting)
    code, said = interrupted(service, tmp_path, "wait.yaml", "--sweep", "pause=1,1.1,1.2")
    assert code == 130, said
    assert "3 runs of 3 told to stop" in said
    assert [job["state"] for job in jobs_of(service)[:3]] == ["cancelled"] * 3
