"""A service whose queue, or whose disk, takes no more: it says so, and goes on once there is room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from nodes.assets import read_settings
from nova_graph.http.app import create_app
from nova_graph.http.desk import Desk
from nova_graph.http.library import read_library
from nova_graph.http.server import listen, make_server
from nova_graph.http.settings import HttpSettings
from nova_graph.http.uploads import Uploads
from nova_graph.options import Options
from nova_graph.runtime import local_runtime
from nova_graph.service.bounds import Bounds, Retention
from tests.nova_graph.http.serving import ROOT, adding, is_problem, waiting
from tests.nova_graph.service.driving import NODES, environ, running


@asynccontextmanager
async def serving(folder: Path, bounds: Bounds, retention: Retention) -> AsyncIterator[httpx.AsyncClient]:
    """Run a service in this process, within bounds that no setting makes so narrow."""
    assets = read_settings(environ(folder), folders=(), allow_paths=False)
    options = Options(nodes=(NODES,))
    with local_runtime(settings=assets, options=options) as runtime:
        desk = Desk(runtime, read_library(ROOT / "graphs"), Uploads(folder / "uploads"), HttpSettings())
        async with running(folder, bounds, retention) as backend:
            server = make_server(create_app(backend, desk, HttpSettings()))
            listening = listen("127.0.0.1", 0)
            task = asyncio.create_task(server.serve(sockets=[listening]))
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
                yield client
            server.stop()
            await task
        desk.close()


def test_a_full_queue_is_said_with_a_time_to_come_back(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(tmp_path, Bounds(queue=1), Retention()) as client:
            answers = [await client.post("/v1/jobs", json={"graph": waiting()})]
            while (await client.get(answers[0].json()["status_url"])).json()["state"] == "queued":
                await asyncio.sleep(0.01)
            # One is with the worker already, one waits.
            answers += [await client.post("/v1/jobs", json={"graph": waiting()}) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [202] * 3
            for path, body in (("/v1/jobs", {"graph": waiting()}), ("/predict", {})):
                refused = await client.post(path, json=body)
                assert is_problem(refused, 429), refused.text
                assert refused.json()["detail"].startswith("the queue is full")
                assert int(refused.headers["retry-after"]) >= 1
            assert len((await client.get("/v1/jobs")).json()["jobs"]) == 3
            for answer in reversed(answers):
                await client.delete(answer.json()["status_url"])
            assert (await client.post("/v1/jobs", json={"graph": adding(1)})).status_code == 202

    asyncio.run(check())


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(tmp_path, Bounds(), Retention(spare=1 << 62)) as client:
            for path, body in (("/v1/jobs", {"graph": adding(1)}), ("/predict", {})):
                refused = await client.post(path, json=body)
                assert is_problem(refused, 507), refused.text
                assert "the disk of the service is full" in refused.json()["detail"]
            assert (await client.get("/v1/jobs")).json()["jobs"] == []
            assert (await client.post("/v1/check", json={"graph": adding(1)})).status_code == 200

    asyncio.run(check())
