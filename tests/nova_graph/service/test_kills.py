"""Services and workers killed at bad moments: what was accepted is in the end done, failed or waiting, never lost."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from nova_graph.service.bounds import Bounds
from nova_graph.service.ledger import open_ledger
from nova_graph.service.local import start_backend
from nova_graph.service.supervisor import WorkerCommand
from tests.nova_graph.service.driving import (
    NODES,
    OWNER,
    ended,
    environ,
    kinds,
    new_job,
    result_of,
    running,
    single,
    told,
    trivial,
    until_lines,
)
from tests.nova_graph.service.service import ROOT, Service, is_alive, start_service


async def accepted(service: Service, graph: object, key: str = "") -> str:
    answer = await service.ask(submit=graph, key=key)
    assert "error" not in answer
    return str(answer["job"])


async def noted_as_running(service: Service, job: str) -> None:
    """Wait until a job runs, and until that is on the disk: the first time nobody else waits for it."""
    while (await service.ask(wait=job, seconds=0))["state"] != "running":
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)


def test_what_was_accepted_survives_the_service(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        service = await start_service(tmp_path)
        first = await accepted(service, single("Wait", path=str(notes), steps=30))
        waiting = [await accepted(service, trivial(value), f"key {value}") for value in range(20)]
        await until_lines(notes, 1)
        await noted_as_running(service, first)
        await service.kill()
        async with running(tmp_path) as backend:
            for value, job_id in enumerate(waiting):
                job = await backend.job(OWNER, job_id)
                assert job is not None
                over = await ended(backend, job)
                assert (over.state, over.attempts) == ("done", 1)
                assert result_of(await told(backend, over)) == 3 * value + 4
            job = await backend.job(OWNER, first)
            assert job is not None
            over = await ended(backend, job)
            assert (over.state, over.attempts) == ("done", 2)
            events = await told(backend, over)
            assert [event.get("reason") for event in events if event["event"] == "queued"] == [
                None,
                "the service stopped",
            ]
            assert len(await backend.jobs(OWNER, limit=99, before=None)) == 21
            assert (await backend.load()).done == 21

    asyncio.run(check())


def test_a_worker_does_not_outlive_its_service(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        service = await start_service(tmp_path)
        await accepted(service, single("Deaf", path=str(notes)))
        await until_lines(notes, 1)
        worker = await service.worker_pid()
        assert is_alive(worker)
        await service.kill()
        while is_alive(worker):
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(check(), 30))


def test_a_job_that_takes_the_service_with_it_is_given_up(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        service = await start_service(tmp_path)
        deadly = await accepted(service, single("Deaf", path=str(notes)))
        harmless = await accepted(service, trivial(1))
        for life in range(1, 4):
            await until_lines(notes, life)
            await noted_as_running(service, deadly)
            await service.kill()
            service = await start_service(tmp_path)
        assert (await service.ask(wait=deadly, seconds=0))["state"] == "failed"
        assert (await service.ask(wait=harmless, seconds=30))["state"] == "done"
        assert await service.stop() == 0
        async with running(tmp_path) as backend:
            job = await backend.job(OWNER, deadly)
            assert job is not None
            assert job.error == "the service stopped 3 times while it was on this job"
            assert kinds(await told(backend, job))[-2:] == ["error", "done"]

    asyncio.run(check())
    assert len(notes.read_text().splitlines()) == 3


def test_a_cancelled_job_stays_cancelled_when_the_service_dies(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        service = await start_service(tmp_path)
        job_id = await accepted(service, single("Deaf", path=str(notes)))
        await until_lines(notes, 1)
        await service.ask(cancel=job_id)
        await service.kill()
        async with running(tmp_path) as backend:
            job = await backend.job(OWNER, job_id)
            assert job is not None
            assert job.state == "cancelled"

    asyncio.run(check())
    assert len(notes.read_text().splitlines()) == 1


def test_a_service_that_stops_lets_the_running_job_finish(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        service = await start_service(tmp_path)
        first = await accepted(service, single("Wait", path=str(notes), steps=50))
        others = [await accepted(service, trivial(value)) for value in range(5)]
        await until_lines(notes, 1)
        worker = await service.worker_pid()
        assert await service.stop() == 0
        assert not is_alive(worker)
        async with running(tmp_path) as backend:
            job = await backend.job(OWNER, first)
            assert job is not None
            assert (job.state, job.attempts) == ("done", 1)
            for job_id in others:
                waiting = await backend.job(OWNER, job_id)
                assert waiting is not None
                assert (await ended(backend, waiting)).attempts == 1

    asyncio.run(check())


def test_a_job_that_does_not_finish_in_time_is_put_back(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        service = await start_service(tmp_path, stop_grace=0.1, cancel_grace=0.5)
        job_id = await accepted(service, single("Wait", path=str(notes), steps=150))
        await until_lines(notes, 1)
        assert await service.stop() == 0
        async with running(tmp_path) as backend:
            job = await backend.job(OWNER, job_id)
            assert job is not None
            assert job.state == "queued"
            over = await ended(backend, job)
            # The attempt that the service itself broke off does not count.
            assert (over.state, over.attempts) == ("done", 1)

    asyncio.run(check())


def test_a_worker_told_to_end_by_somebody_else_does_not_lose_the_job(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await backend.submit(new_job(single("Wait", path=str(notes), steps=40)))
            await until_lines(notes, 1)
            assert backend.worker_pid is not None
            os.kill(backend.worker_pid, signal.SIGTERM)
            over = await ended(backend, job)
            assert (over.state, over.attempts) == ("done", 2)
            reasons = [event.get("reason") for event in await told(backend, over) if event["event"] == "queued"]
            assert reasons == [None, "the worker stopped"]

    asyncio.run(check())


def test_a_worker_that_does_not_start_keeps_the_jobs_waiting(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    (nodes / "broken.py").write_text("raise ImportError('not today')")

    async def check() -> None:
        command = WorkerCommand(environ={**environ(tmp_path), "NOVA_NODES": f"{NODES}:{nodes}"})
        async with await start_backend(tmp_path / "service", command, bounds=Bounds(stop_grace=0.1)) as backend:
            job = await backend.submit(new_job(trivial(1)))
            while (await backend.load()).restarts < 3:
                await asyncio.sleep(0.02)
            assert not await backend.ready()
            assert (await backend.job(OWNER, job.id)) == job
            (nodes / "broken.py").unlink()
            assert (await ended(backend, job)).state == "done"

    asyncio.run(check())


def test_a_worker_that_starts_for_ever_is_started_anew(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    (nodes / "slow.py").write_text("import time\ntime.sleep(600)")

    async def check() -> None:
        command = WorkerCommand(environ={**environ(tmp_path), "NOVA_NODES": f"{NODES}:{nodes}"})
        bounds = Bounds(start_limit=2.0, stop_grace=0.1, cancel_grace=0.1)
        async with await start_backend(tmp_path / "service", command, bounds=bounds) as backend:
            job = await backend.submit(new_job(trivial(1)))
            while (await backend.load()).restarts < 1:
                await asyncio.sleep(0.02)
            assert not await backend.ready()
            (nodes / "slow.py").unlink()
            assert (await ended(backend, job)).state == "done"

    asyncio.run(check())


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle(WorkerCommand):
    """A worker that takes jobs and begins none."""

    def arguments(self, descriptor: int) -> list[str]:
        script = (
            "import socket; from nova_graph.service.frames import encode\n"
            f"with socket.socket(fileno={descriptor}) as link:\n"
            "    link.sendall(encode({'say': 'hello'}, []))\n"
            "    while link.recv(65536): pass"
        )
        return [sys.executable, "-c", script]


def test_a_job_that_was_not_begun_when_the_service_stopped_was_not_tried(tmp_path: Path) -> None:
    async def check() -> None:
        command = Idle(environ={**environ(tmp_path), "PYTHONPATH": str(ROOT)})
        bounds = Bounds(stop_grace=0.1, cancel_grace=10.0)
        async with await start_backend(tmp_path, command, bounds=bounds) as backend:
            job = await backend.submit(new_job(trivial(1)))
        async with await start_backend(tmp_path, command, bounds=bounds) as backend:
            while (found := await backend.job(OWNER, job.id)) is not None and not found.attempts:
                await asyncio.sleep(0.01)
        async with await open_ledger(tmp_path) as ledger:
            assert [(each.state, each.attempts) for each in ledger.read.unfinished()] == [("queued", 0)]

    asyncio.run(check())
