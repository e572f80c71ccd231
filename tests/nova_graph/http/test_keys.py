"""Keys, what they keep apart, and where a service may listen."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from starlette.types import Message, Receive, Scope, Send

from engine.errors import SettingError
from nova_graph.cli.commands.serve import queue_bounds
from nova_graph.http.auth import Keys, check_exposure, owner_of
from nova_graph.http.hosts import HostGuard
from nova_graph.http.settings import HttpSettings, read_http_settings
from nova_graph.service.bounds import Bounds
from tests.nova_graph.http.conftest import HF_TOKEN, KEYS, WEBHOOK_SECRET
from tests.nova_graph.http.pictures import png
from tests.nova_graph.http.serving import Service, adding, environment, events_of, handed_in, is_problem, one

CLOSED = [
    ("POST", "/predict"),
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/x"),
    ("DELETE", "/v1/jobs/x"),
    ("GET", "/v1/jobs/x/events"),
    ("GET", "/v1/jobs/x/images/0"),
    ("POST", "/v1/plan"),
    ("POST", "/v1/check"),
    ("GET", "/v1/graphs"),
    ("GET", "/v1/graphs/default/schema"),
    ("GET", "/v1/nodes"),
    ("POST", "/v1/files"),
    ("GET", "/v1/files"),
    ("DELETE", f"/v1/files/{'0' * 64}.png"),
    ("GET", "/v1/webhook-secret"),
    ("GET", "/timing-report"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_nothing_is_done_without_a_key(keyed: Service, method: str, path: str) -> None:
    with keyed.client() as nobody:
        answer = nobody.request(method, path)
    assert is_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["", "Bearer", f"Basic {KEYS[0]}", f"Bearer {KEYS[0]}x", "Bearer \xe9\xff"])
def test_a_wrong_key_is_none(keyed: Service, header: str) -> None:
    with keyed.client() as nobody:
        answer = nobody.get("/v1/jobs", headers=[(b"Authorization", header.encode("latin-1"))])
    assert is_problem(answer, 401)


def test_health_and_readiness_need_no_key(keyed: Service) -> None:
    with keyed.client() as nobody:
        assert nobody.get("/health").json()["status"] == "ok"
        assert nobody.get("/ready").status_code == 200
        assert nobody.get("/openapi.json").status_code == 200


def test_one_key_does_not_see_what_another_does(alice: httpx.Client, bob: httpx.Client) -> None:
    job = handed_in(alice, adding(31), wait=30)
    picture = alice.post("/v1/files", content=png(8, 8), headers={"Content-Type": "image/png"}).json()["name"]
    here = job["status_url"]
    for path in (here, f"{here}/events", f"{here}/images/0"):
        assert is_problem(bob.get(path), 404)
    assert is_problem(bob.delete(here), 404)
    assert is_problem(bob.delete(f"/v1/files/{picture}"), 404)
    assert bob.get("/v1/files").json()["files"] == []
    assert job["id"] not in bob.get("/v1/jobs").text + bob.get("/timing-report").text
    assert job["id"] in alice.get("/timing-report").text
    assert bob.get("/v1/jobs", params={"before": job["id"]}).json()["jobs"] == []
    loading = {
        "nova": 1,
        "nodes": {"load": {"type": "LoadImage", "inputs": {"picture": picture}}},
        "outputs": {"image": "$load.image"},
    }
    assert alice.post("/v1/plan", json={"graph": loading}).status_code == 200
    assert is_problem(bob.post("/v1/plan", json={"graph": loading}), 422)
    alice.delete(f"/v1/files/{picture}")


def test_an_idempotency_key_is_ones_own(alice: httpx.Client, bob: httpx.Client) -> None:
    headers = {"Idempotency-Key": "shared"}
    ids = [one_.post("/v1/jobs", json={"graph": adding(32)}, headers=headers).json()["id"] for one_ in (alice, bob)]
    assert ids[0] != ids[1]


def test_a_webhook_secret_is_ones_own(alice: httpx.Client, bob: httpx.Client) -> None:
    secrets = {one_.get("/v1/webhook-secret").json()["secret"] for one_ in (alice, bob)}
    assert len(secrets) == 2
    assert WEBHOOK_SECRET not in "".join(secrets)


def test_no_secret_is_told_or_logged(keyed: Service, alice: httpx.Client) -> None:
    secrets = (*KEYS, WEBHOOK_SECRET, "civitai-key-0123456789", HF_TOKEN)
    job = handed_in(alice, one("Fail", text=" ".join(secrets)))
    events = " ".join(str(value) for event in events_of(alice, job) for value in event.values())
    told = job["error"] + events + alice.get("/metrics").text
    assert handed_in(alice, one("Blurt", text=" ".join(secrets)))["state"] == "done"
    assert "blurted out: ***" in keyed.log
    alice.get("/v1/jobs", params={"api_key": KEYS[0]})
    alice.get(f"/v1/graphs/{KEYS[0]}/schema")
    for secret in secrets:
        assert secret not in told
        assert secret not in keyed.log


def test_wrong_keys_are_counted(keyed: Service) -> None:
    with keyed.client("wrong-key-0123456789") as guesser:
        elsewhere = [
            {"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"} for number in range(60)
        ]
        answers = [guesser.get("/v1/jobs", headers=headers).status_code for headers in elsewhere]
    assert answers[-1] == 429
    with keyed.client(KEYS[0]) as alice:
        assert alice.get("/v1/jobs").status_code == 200


def test_an_owner_tells_nothing_of_the_key() -> None:
    keys = Keys([SecretStr(key) for key in KEYS])
    assert keys.owner(KEYS[1]) == owner_of(KEYS[1])
    assert keys.owner(KEYS[1]) != keys.owner(KEYS[0])
    assert keys.owner(owner_of(KEYS[1])) is None
    assert keys.owner("") is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_without_keys_only_this_machine_is_served(host: str) -> None:
    with pytest.raises(SettingError, match="NOVA_API_KEYS"):
        check_exposure(host, HttpSettings())
    check_exposure(host, HttpSettings(public=True))
    check_exposure(host, HttpSettings(keys=(SecretStr(KEYS[0]),)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_is_served_without_keys(host: str) -> None:
    check_exposure(host, HttpSettings())


def test_the_command_refuses_a_public_address(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nova_graph", "serve", "--host", "0.0.0.0", "--port", "0"],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "NOVA_API_KEYS" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"NOVA_API_KEYS": "short"},
        {"NOVA_API_KEYS": f"{KEYS[0]} schlüssel-schlüssel"},
        {"NOVA_MAX_NODES": "many"},
        {"NOVA_MAX_NODES": "-1"},
        {"NOVA_ALLOW_PUBLIC": "perhaps"},
        {"NOVA_WEBHOOK_NETWORKS": "10.0.0.1/8"},
        {"ENABLE_FACE_REFINEMENT": "2"},
    ],
)
def test_settings_that_are_wrong(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingError) as caught:
        read_http_settings(wrong)
    name, value = next(iter(wrong.items()))
    assert name in str(caught.value)
    if name == "NOVA_API_KEYS":
        assert value.split()[-1] not in str(caught.value)


def test_settings_from_the_environment() -> None:
    settings = read_http_settings(
        {"NOVA_API_KEYS": f"{KEYS[0]}, {KEYS[1]} {KEYS[0]}", "ENABLE_FACE_REFINEMENT": "0", "NOVA_MAX_STEPS": "1_000"}
    )
    assert [key.get_secret_value() for key in settings.keys] == list(KEYS)
    assert (settings.face, settings.steps) == (False, 1000)
    assert KEYS[0] not in repr(settings)
    assert read_http_settings({}) == HttpSettings()


def test_one_key_may_fill_half_the_queue() -> None:
    assert queue_bounds(HttpSettings()) == Bounds()
    bounds = queue_bounds(HttpSettings(jobs=5000))
    assert (bounds.queue, bounds.owner_queue) == (10_000, 5000)


@pytest.mark.parametrize("origins", [("*",), ("https://pages.example",)])
def test_pages_of_these_origins_are_let_in(origins: tuple[str, ...]) -> None:
    async def reached(_: Scope, __: Receive, ___: Send) -> None:
        seen.append(True)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        pass

    seen: list[bool] = []
    guard = HostGuard(reached, HttpSettings(origins=origins))
    headers = [(b"host", b"localhost"), (b"origin", b"https://pages.example")]
    asyncio.run(guard({"type": "http", "headers": headers}, receive, send))
    assert seen == [True]
