"""Attempts to reach what a graph from a stranger must not reach."""

import os
import socket
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from nodes.library import built_in
from tests.nova_graph.http.pictures import png
from tests.nova_graph.http.serving import ROOT, Service, adding, handed_in, is_problem, one

PATHS = [
    "/etc/passwd",
    "../../etc/passwd",
    "..",
    ".",
    "~/.ssh/id_rsa",
    "file:///etc/passwd",
    "http://127.0.0.1:1/model.safetensors",
    "https://example.com/model.safetensors",
    "\\\\host\\share\\model",
    "C:\\model.safetensors",
    "a/b",
    "nova-nano\0",
    "$HOME",
    "$$HOME",
    "${HOME}",
    "%2e%2e%2fpasswd",
    "jobs/ledger",
    " ",
    "x" * 5000,
    "\u202etxt.exe",
]


REFUSED: Final = ("is not a plain name", "is no name of a", "There is no ", "is no reference")

NAMING: Final = {
    "CheckpointLoader": ("checkpoint", "model"),
    "LoRA": ("lora", "model"),
    "Embedding": ("embedding", "text_encoders"),
    "ControlNet": ("controlnet", "model"),
    "VAE": ("override", "vae"),
    "LoadImage": ("picture", "image"),
    "UpscaleImage": ("upscaler", "image"),
    "DetectFaces": ("detector", "boxes"),
}
"""The port of a node type that names something outside the graph, and an output."""


def naming(kind: str, name: str, picture: str) -> dict[str, Any]:
    """Return a graph that names something outside itself, and beside it only what the service knows."""
    port, output = NAMING[kind]
    others: dict[str, dict[str, Any]] = {
        "LoRA": {"model": "$loader.model", "text_encoders": "$loader.text_encoders"},
        "Embedding": {"text_encoders": "$loader.text_encoders", "word": "neg"},
        "ControlNet": {"model": "$loader.model", "image": "$picture.image"},
        "VAE": {"bundled": "$loader.vae"},
        "UpscaleImage": {"image": "$picture.image"},
        "DetectFaces": {"image": "$picture.image"},
    }
    nodes: dict[str, Any] = {
        "it": {"type": kind, "inputs": {port: name, **others.get(kind, {})}},
        "loader": {"type": "CheckpointLoader", "inputs": {"checkpoint": "nova-nano"}},
        "picture": {"type": "LoadImage", "inputs": {"picture": picture}},
    }
    return {"nova": 1, "nodes": nodes, "outputs": {"it": f"$it.{output}"}}


@pytest.fixture(name="picture", scope="module")
def _picture(service: Service) -> str:
    with service.client() as client:
        answer = client.post("/v1/files", content=png(8, 8), headers={"Content-Type": "image/png"})
    return str(answer.json()["name"])


def test_every_port_that_names_something_is_tried() -> None:
    ports = {kind: [name for name, _ in declared.asset_inputs] for kind, declared in built_in().items()}
    assert {kind: names for kind, names in ports.items() if names} == {kind: [it] for kind, (it, _) in NAMING.items()}


@pytest.mark.parametrize("kind", NAMING)
def test_graphs_name_nothing_by_path_or_address(
    service: Service, client: httpx.Client, picture: str, kind: str
) -> None:
    # Files that are there, and would be taken if paths were.
    weights = "nova-nano" if kind != "DetectFaces" else "face"
    here = [ROOT / "nodes" / "sdxl" / "nano" / f"{weights}.safetensors", ROOT / "docs" / "images" / "first-picture.png"]
    beside = [os.path.relpath(path, service.folder) for path in here]
    for path in (*map(str, here), *beside, *PATHS):
        answer = client.post("/v1/jobs", json={"graph": naming(kind, path, picture)})
        assert is_problem(answer, 422), (path, answer.text)
        assert any(why in answer.text for why in REFUSED), (path, answer.text)
        assert "root:" not in answer.text


@pytest.mark.parametrize("kind", NAMING)
def test_graphs_name_what_the_service_knows(client: httpx.Client, picture: str, kind: str) -> None:
    known = {"CheckpointLoader": "nova-nano", "LoadImage": picture, "DetectFaces": "auto"}.get(kind, "none")
    plan = client.post("/v1/plan", json={"graph": naming(kind, known, picture)})
    if kind == "UpscaleImage":
        assert is_problem(plan, 422)
        assert "There is no upscaler 'none'" in plan.text
    else:
        assert plan.status_code == 200, plan.text


@pytest.mark.parametrize(
    "name",
    [
        "/etc/hosts",
        "../default.yaml",
        "parts/../../pyproject.yaml",
        "file:///etc/hosts",
        "//host/x.yaml",
        "default\0",
        ".",
    ],
)
def test_graphs_include_nothing_by_path(service: Service, client: httpx.Client, name: str) -> None:
    (service.folder / "secret.yaml").write_text("nova: 1\n")
    for graph in (name, str(service.folder / "secret.yaml"), "../secret.yaml", "secret.yaml"):
        tree = {"nova": 1, "nodes": {"a": {"graph": graph}}, "outputs": {"a": "$a.x"}}
        answer = client.post("/v1/check", json={"graph": tree})
        assert is_problem(answer, 422)
        assert str(service.folder) not in answer.text.replace(graph, "")


def test_a_graph_of_the_library_is_included_by_name(client: httpx.Client) -> None:
    nodes = {"a": {"graph": "fast", "inputs": {"prompt": "a cat"}}}
    answer = client.post("/v1/check", json={"graph": {"nova": 1, "nodes": nodes, "outputs": {"file": "$a.file"}}})
    assert answer.status_code == 200, answer.text


def test_a_name_of_the_library_is_no_path(client: httpx.Client) -> None:
    for name in ("../graphs/default", "parts/face", "/graphs/default", "default.yaml/..", "~"):
        assert is_problem(client.post("/v1/jobs", json={"graph": name}), 404)


@pytest.mark.parametrize(
    "path", ["/../etc/passwd", "/v1/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"]
)
def test_addresses_lead_to_no_file(service: Service, path: str) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"root:" not in answer


def test_a_value_cannot_be_forged(client: httpx.Client) -> None:
    for forged in ({"sha256": "0" * 64, "name": "x"}, ["x"], {"$node": "port"}):
        nodes = {"it": {"type": "Sampler", "inputs": {"model": forged, "conditioning": forged}}}
        tree = {"nova": 1, "nodes": nodes, "outputs": {"it": "$it.latents"}}
        assert is_problem(client.post("/v1/check", json={"graph": tree}), 422)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "10.0.0.1"]
)
def test_a_name_that_was_bound_to_this_machine_is_refused(client: httpx.Client, host: str) -> None:
    assert is_problem(client.get("/health", headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:80", "localhost."])
def test_this_machine_has_several_names(client: httpx.Client, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1.evil.example"]
)
def test_other_pages_cannot_use_the_service(client: httpx.Client, origin: str) -> None:
    for headers in ({"Origin": origin}, {"Origin": origin, "Access-Control-Request-Method": "POST"}):
        assert is_problem(client.post("/v1/jobs", json={"graph": adding(1)}, headers=headers), 403)
        assert is_problem(client.options("/v1/jobs", headers=headers), 403)


def test_pages_that_are_named_can_use_it(alice: httpx.Client, keyed: Service) -> None:
    headers = {"Origin": "https://pages.example"}
    answer = alice.get("/v1/jobs", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://pages.example"
    ask = {**headers, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with keyed.client() as browser:
        assert browser.options("/v1/jobs", headers=ask).status_code == 200
        assert is_problem(browser.options("/v1/jobs", headers={**ask, "Origin": "https://other.example"}), 403)


def test_a_form_of_another_page_is_no_request(client: httpx.Client) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = client.post("/v1/jobs", content=b'{"graph": "fast"}', headers={"Content-Type": kind})
        assert is_problem(answer, 415)


def test_the_answering_process_has_no_torch_in_it(service: Service, client: httpx.Client) -> None:
    handed_in(client, one("Kept", value=3))
    client.post("/v1/plan", json={"graph": "default"})
    maps = Path(f"/proc/{service.process.pid}/maps").read_text(encoding="utf-8")
    assert "uvloop" in maps
    assert "torch" not in maps


def test_files_of_the_service_are_for_its_user_only(service: Service, client: httpx.Client) -> None:
    handed_in(client, adding(1))
    ledger = next((service.folder / "state" / "jobs").iterdir())
    assert ledger.parent.stat().st_mode & 0o077 == 0
