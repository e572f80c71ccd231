"""A disk that takes nothing more: an error in words, nothing torn, and all goes on once there is room."""

import asyncio
import sqlite3
from pathlib import Path

from tests.nova_graph.service.driving import OWNER, kinds, running, single, told, trivial, until_lines
from tests.nova_graph.service.service import Service, start_service


async def accepted(service: Service, graph: object) -> str:
    answer = await service.ask(submit=graph, key="")
    assert "error" not in answer
    return str(answer["job"])


def test_a_full_disk_refuses_jobs_and_keeps_those_it_has(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        service = await start_service(tmp_path)
        before = await accepted(service, single("Draw", size=1000))
        assert (await service.ask(wait=before, seconds=30))["state"] == "done"
        running_now = await accepted(service, single("Wait", path=str(notes), steps=40))
        waiting = await accepted(service, trivial(3))
        await until_lines(notes, 1)
        await service.ask(most=1)
        for _ in range(5):
            answer = await service.ask(submit=trivial(1), key="")
            assert answer["error"].startswith("StoreFull: the disk does not take more")
        # It has ended meanwhile, but nobody is told while that cannot be kept.
        assert (await service.ask(wait=running_now, seconds=2))["state"] == "running"
        await service.ask(most=None)
        for job_id in (running_now, waiting, await accepted(service, trivial(4))):
            assert (await service.ask(wait=job_id, seconds=30))["state"] == "done"
        assert await service.stop() == 0
        _check_whole(tmp_path)
        async with running(tmp_path) as backend:
            jobs = await backend.jobs(OWNER, limit=99, before=None)
            assert [job.state for job in jobs] == ["done"] * 4
            for job in jobs:
                events = kinds(await told(backend, job))
                assert events[0] == "queued"
                assert events.count("done") == 1
            assert await backend.picture(OWNER, before, 0) is not None

    asyncio.run(check())


def test_pictures_that_do_not_fit_fail_their_job(tmp_path: Path) -> None:
    async def check() -> None:
        service = await start_service(tmp_path)
        await service.worker_pid()
        await service.ask(most=3 << 20)
        large = await accepted(service, single("Draw", size=4 << 20))
        assert (await service.ask(wait=large, seconds=30))["state"] == "failed"
        small = await accepted(service, single("Draw", size=4 << 10))
        assert (await service.ask(wait=small, seconds=30))["state"] == "done"
        await service.stop()
        assert not list((tmp_path / "service" / "blobs").rglob("*.tmp"))
        async with running(tmp_path) as backend:
            job = await backend.job(OWNER, large)
            assert job is not None
            assert job.error == "a picture could not be kept: File too large"
            assert kinds(await told(backend, job))[-2:] == ["error", "done"]

    asyncio.run(check())


def test_a_service_killed_on_a_full_disk_has_a_whole_store(tmp_path: Path) -> None:
    async def check() -> None:
        service = await start_service(tmp_path)
        kept = [await accepted(service, trivial(value)) for value in range(10)]
        await service.ask(most=70_000)
        refused = await asyncio.gather(*(service.ask(submit=trivial(value), key="") for value in range(200)))
        kept += [answer["job"] for answer in refused if "error" not in answer]
        assert any("error" in answer for answer in refused)
        await service.kill()
        _check_whole(tmp_path)
        async with running(tmp_path) as backend:
            jobs = {job.id for job in await backend.jobs(OWNER, limit=999, before=None)}
            assert set(kept) <= jobs
            for job_id in kept:
                found = await backend.wait(OWNER, job_id, 60)
                assert found is not None
                assert found.state == "done"

    asyncio.run(check())


def _check_whole(folder: Path) -> None:
    connection = sqlite3.connect(folder / "service" / "ledger.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
