"""How much one may ask for."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from engine import bind, parse
from nodes.library import built_in
from nova_graph.http.budget import needs_of
from nova_graph.http.library import read_library
from tests.nova_graph.http.conftest import KEYS
from tests.nova_graph.http.pictures import png
from tests.nova_graph.http.serving import ROOT, Service, adding, handed_in, is_problem, one, serving, waiting

PNG = {"Content-Type": "image/png"}
SMALL = {"num_inference_steps": 4, "width": 64, "height": 64}


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"width": 2048, "height": 2048}, "pixels"),
        ({"width": 1024, "height": 1024, "count": 2}, "pixels"),
        ({"steps": 90}, "steps"),
        ({"steps": 30, "count": 4, "width": 64, "height": 64}, "steps"),
        ({"prompt": "x" * 501}, "characters"),
        ({"negative": "x" * 501}, "characters"),
    ],
)
def test_a_graph_that_asks_for_too_much(alice: httpx.Client, inputs: dict[str, Any], word: str) -> None:
    for path in ("/v1/check", "/v1/plan", "/v1/jobs"):
        answer = alice.post(path, json={"graph": "default", "inputs": inputs})
        assert is_problem(answer, 422)
        assert word in answer.json()["problems"][0]["message"]


def test_a_graph_with_too_many_nodes(alice: httpx.Client) -> None:
    nodes = {f"n{index}": {"type": "Number", "inputs": {"value": index}} for index in range(51)}
    tree = {"nova": 1, "nodes": nodes, "outputs": {"n": "$n0.value"}}
    assert is_problem(alice.post("/v1/check", json={"graph": tree}), 422)
    text = "nova: 1\nnodes:\n" + "".join(f"  n{i}: {{type: Number, inputs: {{value: 1}}}}\n" for i in range(51))
    assert is_problem(alice.post("/v1/check", json={"yaml": f"{text}outputs: {{n: $n0.value}}\n"}), 422)
    includes = {f"n{index}": {"graph": "default"} for index in range(40)}
    tree = {"nova": 1, "nodes": includes, "outputs": {"n": "$n0.file"}}
    assert is_problem(alice.post("/v1/check", json={"graph": tree}), 422)


def test_a_body_that_is_too_long(keyed: Service, alice: httpx.Client) -> None:
    kind = {"Content-Type": "application/json"}
    assert is_problem(alice.post("/v1/check", content=b" " * 200_001, headers=kind), 413)
    assert is_problem(alice.post("/v1/check", content=iter([b" " * 50_000] * 5), headers=kind), 413)
    assert is_problem(alice.post("/predict", content=iter([b" " * 50_000] * 5), headers=kind), 413)
    assert keyed.is_well()


def test_too_many_jobs_that_are_not_over(alice: httpx.Client, bob: httpx.Client) -> None:
    key = {"Idempotency-Key": "at-the-limit"}
    jobs = [alice.post("/v1/jobs", json={"graph": waiting()}) for _ in range(2)]
    jobs.append(alice.post("/v1/jobs", json={"graph": waiting()}, headers=key))
    try:
        repeated = alice.post("/v1/jobs", json={"graph": waiting()}, headers=key)
        assert repeated.json()["id"] == jobs[-1].json()["id"]
        refused = alice.post("/v1/jobs", json={"graph": waiting()})
        assert is_problem(refused, 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert alice.post("/v1/check", json={"graph": adding(1)}).status_code == 200
        assert bob.post("/v1/jobs", json={"graph": adding(1)}).status_code == 202
    finally:
        for job in reversed(jobs):
            alice.delete(job.json()["status_url"])
    for job in jobs:
        assert alice.get(job.json()["status_url"], params={"wait": 30}).json()["state"] == "cancelled"


def test_too_many_open_requests(keyed: Service, alice: httpx.Client, bob: httpx.Client) -> None:
    job = alice.post("/v1/jobs", json={"graph": waiting()}).json()
    following = []

    def follow(ready: threading.Event) -> None:
        with keyed.client(KEYS[0]) as client, client.stream("GET", job["events_url"]) as stream:
            for _ in stream.iter_lines():
                ready.set()

    try:
        for _ in range(3):
            ready = threading.Event()
            thread = threading.Thread(target=follow, args=(ready,))
            thread.start()
            following.append(thread)
            assert ready.wait(30)
        assert is_problem(alice.get(job["events_url"]), 429)
        assert is_problem(alice.get(job["status_url"], params={"wait": 1}), 429)
        number = alice.get("/v1/jobs").json()["jobs"][0]["number"]
        assert is_problem(alice.post("/v1/jobs", json={"graph": adding(1)}, params={"wait": 1}), 429)
        assert is_problem(alice.post("/predict", json=SMALL), 429)
        assert alice.get("/v1/jobs").json()["jobs"][0]["number"] == number, "what is refused is not run"
        assert alice.get(job["status_url"]).status_code == 200
        assert bob.get("/v1/jobs").status_code == 200
    finally:
        alice.delete(job["status_url"])
        for thread in following:
            thread.join(30)
    assert alice.get(job["status_url"], params={"wait": 30}).json()["state"] == "cancelled"


def test_too_much_that_is_being_sent_in(service: Service, client: httpx.Client) -> None:
    head = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 33554432\r\n\r\n"
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(socket.create_connection(("127.0.0.1", service.port), 30)) for _ in range(3)]
        for peer in peers:
            with contextlib.suppress(ConnectionError):
                peer.sendall(head + bytes(30_000_000))
        answered, _, _ = select.select(peers, [], [], 30)
        assert answered[0].recv(65536).startswith(b"HTTP/1.1 429 ")
    while (answer := client.post("/v1/files", content=bytes(30_000_000), headers=PNG)).status_code == 429:
        pass
    assert is_problem(answer, 422)


@pytest.fixture(name="limited", scope="module")
def _limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"NOVA_API_KEYS": " ".join(KEYS), "NOVA_RATE_LIMIT": "20", "NOVA_JOB_SECONDS": "1"}
    with serving(tmp_path_factory.mktemp("limited"), **settings) as running:
        yield running


def test_too_many_requests(limited: Service) -> None:
    with limited.client(KEYS[0]) as alice:
        answers = [alice.get("/v1/jobs") for _ in range(21)]
        assert [answer.status_code for answer in answers] == [200] * 20 + [429]
        assert is_problem(answers[-1], 429)
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 120
        assert alice.get("/health").status_code == 200
    with limited.client(KEYS[1]) as bob:
        assert bob.get("/v1/jobs").status_code == 200


def test_a_job_that_takes_too_long(limited: Service) -> None:
    with limited.client(KEYS[1]) as bob:
        job = handed_in(bob, one("Wait", steps=900, pause=0.1))
    assert (job["state"], job["error"]) == ("failed", "the job took longer than the 1 s it may take")


def no_picture(_: str) -> None:
    """Know no picture."""


def test_what_the_default_graph_needs() -> None:
    library = read_library(ROOT / "graphs")
    inputs: dict[str, Any] = {"steps": 10, "count": 2, "width": 512, "height": 256, "prompt": "x" * 99, "negative": ""}
    bound = bind(library.graph("default"), built_in(), inputs, opener=library.opener)
    needs = needs_of(bound, no_picture)
    assert (needs.pixels, needs.longest) == (2 * 512 * 256, 99)
    assert needs.steps == 10 * 2 + 10 * 2


def test_sizes_add_up_along_the_wires() -> None:
    tree: dict[str, Any] = {
        "nova": 1,
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {"picture": "x", "width": 800, "height": 600}},
            "larger": {"type": "ResizeImage", "inputs": {"image": "$load.image", "scale": 2.0}},
            "wider": {"type": "ResizeImage", "inputs": {"image": "$larger.image", "width": 1600, "height": 1200}},
        },
        "outputs": {"image": "$wider.image"},
    }
    assert needs_of(bind(parse(tree), built_in()), no_picture).pixels == 800 * 600 + 1600 * 1200 + 1600 * 1200


def test_batches_are_followed_along_the_wires() -> None:
    tree: dict[str, Any] = {
        "nova": 1,
        "nodes": {
            "load": {"type": "CheckpointLoader"},
            "text": {"type": "Encoder", "inputs": {"text_encoders": "$load.text_encoders", "prompt": "x"}},
            "draw": {
                "type": "Sampler",
                "inputs": {"model": "$load.model", "conditioning": "$text.conditioning"}
                | {"count": 64, "width": 64, "height": 64, "steps": 1},
            },
            "seen": {"type": "Decode", "inputs": {"vae": "$load.vae", "latents": "$draw.latents"}},
            "huge": {"type": "ResizeImage", "inputs": {"image": "$seen.image", "width": 4000, "height": 4000}},
        },
        "outputs": {"image": "$huge.image"},
    }
    needs = needs_of(bind(parse(tree), built_in()), no_picture)
    assert needs.pixels == 64 * (64 * 64 + 4000 * 4000)
    assert needs.steps == 64


def enlarged(**inputs: Any) -> dict[str, Any]:
    """Return a graph that makes a picture of 304x200 larger with an upscaler, and then twice as large."""
    return {
        "nova": 1,
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {"picture": "x", "width": 304, "height": 200}},
            "larger": {"type": "UpscaleImage", "inputs": {"image": "$load.image", "upscaler": "y", **inputs}},
            "twice": {"type": "ResizeImage", "inputs": {"image": "$larger.image", "scale": 2.0}},
        },
        "outputs": {"image": "$twice.image"},
    }


@pytest.mark.parametrize(
    ("inputs", "made", "out"),
    [({}, 4, 4), ({"scale": 1.5}, 4, 1.5), ({"max_factor": 2}, 2, 2), ({"max_factor": 2, "scale": 6.0}, 6, 6)],
)
def test_upscalers_count_with_the_largest_picture_they_may_make(
    inputs: dict[str, Any], made: float, out: float
) -> None:
    own = 304 * 200
    needs = needs_of(bind(parse(enlarged(**inputs)), built_in()), no_picture)
    assert needs.pixels == own + own * made**2 + own * (2 * out) ** 2


def test_latents_that_are_resized_count() -> None:
    tree: dict[str, Any] = {
        "nova": 1,
        "nodes": {
            "load": {"type": "CheckpointLoader"},
            "text": {"type": "Encoder", "inputs": {"text_encoders": "$load.text_encoders", "prompt": "x"}},
            "draw": {
                "type": "Sampler",
                "inputs": {"model": "$load.model", "conditioning": "$text.conditioning", "width": 512, "height": 256},
            },
            "larger": {"type": "ResizeLatents", "inputs": {"latents": "$draw.latents", "scale": 2.0}},
            "wide": {"type": "ResizeLatents", "inputs": {"latents": "$larger.latents", "width": 2048}},
        },
        "outputs": {"latents": "$wide.latents"},
    }
    needs = needs_of(bind(parse(tree), built_in()), no_picture)
    assert needs.pixels == 512 * 256 + 1024 * 512 + 2048 * 4096


def test_a_picture_that_an_upscaler_would_make_too_large_is_refused(alice: httpx.Client) -> None:
    name = alice.post("/v1/files", content=png(100, 100), headers={"Content-Type": "image/png"}).json()["name"]
    nodes: dict[str, Any] = {
        "load": {"type": "LoadImage", "inputs": {"picture": name}},
        "larger": {"type": "UpscaleImage", "inputs": {"image": "$load.image", "upscaler": "y"}},
    }
    nodes["larger"]["inputs"] |= {"scale": 0.5, "max_factor": 16}
    tree: dict[str, Any] = {"nova": 1, "nodes": nodes, "outputs": {"image": "$larger.image"}}
    for path in ("/v1/check", "/v1/plan", "/v1/jobs"):
        answer = alice.post(path, json={"graph": tree})
        assert is_problem(answer, 422)
        assert "here it is 2,570,000" in answer.json()["problems"][0]["message"]
    alice.delete(f"/v1/files/{name}")


def test_a_side_that_is_left_out_follows_the_picture() -> None:
    tree: dict[str, Any] = {
        "nova": 1,
        "nodes": {"load": {"type": "LoadImage", "inputs": {"picture": "x", "width": 800}}},
        "outputs": {"image": "$load.image"},
    }
    bound = bind(parse(tree), built_in())
    assert needs_of(bound, lambda _: (100, 1000)).pixels == 800 * 8000
    assert needs_of(bound, lambda _: (1000, 100)).pixels == 800 * 8000


def test_a_picture_that_was_sent_in_counts_with_its_size(alice: httpx.Client) -> None:
    name = alice.post("/v1/files", content=png(100, 100), headers={"Content-Type": "image/png"}).json()["name"]
    nodes: dict[str, Any] = {
        "load": {"type": "LoadImage", "inputs": {"picture": name}},
        "large": {"type": "ResizeImage", "inputs": {"image": "$load.image", "scale": 8.0}},
    }
    tree: dict[str, Any] = {"nova": 1, "nodes": nodes, "outputs": {"image": "$large.image"}}
    assert alice.post("/v1/check", json={"graph": tree}).status_code == 200
    nodes["larger"] = {"type": "ResizeImage", "inputs": {"image": "$large.image", "scale": 2.0}}
    for path in ("/v1/check", "/v1/jobs"):
        answer = alice.post(path, json={"graph": tree})
        assert is_problem(answer, 422)
        assert "here it is 3,210,000" in answer.json()["problems"][0]["message"]
    alice.delete(f"/v1/files/{name}")
