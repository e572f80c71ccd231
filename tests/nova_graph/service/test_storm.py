"""Hundreds of jobs while the service, the worker, or both are killed again and again."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from engine.values import Json
from tests.nova_graph.service.driving import OWNER, running, single, told, trivial
from tests.nova_graph.service.service import Gone, Service, start_service

JOBS = 240
KILLS = 14
SEED = 20
BOUNDS = {"attempts": 6}


class Storm:
    """Hands in every job until it is accepted, and kills processes meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.random = Random(SEED)
        self.accepted: dict[int, str] = {}
        self.kills: Counter[str] = Counter()

    def graph(self, value: int) -> dict[str, Json]:
        match value % 4:
            case 0:
                return trivial(value)
            case 1:
                return single("Draw", size=200 + value, seed=value)
            case 2:
                return single("Note", path=str(self.notes), value=value, wait=0.01)
        return single("Note", path=str(self.notes), value=value, wait=0.002)

    async def rage(self) -> None:
        service = await start_service(self.folder, **BOUNDS)
        for kill in range(KILLS):
            most = min(JOBS, 60 + JOBS * kill // KILLS)
            handing = asyncio.gather(*(self.hand_in(service, value) for value in range(most)))
            if self.random.random() < 0.7:
                # Otherwise the worker is still about to start.
                await service.worker_pid()
            await asyncio.sleep(self.random.uniform(0.0, 0.2))
            service = await self.kill(service)
            await handing
        await asyncio.gather(*(self.hand_in(service, value) for value in range(JOBS)))
        for job_id in self.accepted.values():
            answer = await service.ask(wait=job_id, seconds=60)
            assert answer["state"] in ("done", "failed")
        assert await service.stop() == 0

    async def hand_in(self, service: Service, value: int) -> None:
        """Have a job accepted, unless it is already, or the service dies first."""
        if value not in self.accepted:
            with suppress(Gone):
                answer = await service.ask(submit=self.graph(value), key=f"job {value}")
                self.accepted[value] = answer["job"]

    async def kill(self, service: Service) -> Service:
        what = self.random.choice(["service", "worker", "both"])
        self.kills[what] += 1
        if what != "service":
            with suppress(ProcessLookupError):
                os.kill(await service.worker_pid(), signal.SIGKILL)
        if what == "worker":
            return service
        await service.kill()
        return await start_service(self.folder, **BOUNDS)


def test_nothing_is_lost_in_a_storm(tmp_path: Path) -> None:
    storm = Storm(tmp_path)
    asyncio.run(storm.rage())
    assert set(storm.kills) == {"service", "worker", "both"}
    assert len(storm.accepted) == JOBS
    assert len(set(storm.accepted.values())) == JOBS
    asyncio.run(_check(storm))
    _check_workers(storm.notes)


async def _check(storm: Storm) -> None:
    lines = storm.notes.read_text().splitlines()
    ends = Counter(int(line.split()[1]) for line in lines if line.startswith("end"))
    async with running(storm.folder) as backend:
        kept = await backend.jobs(OWNER, limit=10_000, before=None)
        # Not one more than were handed in, however often each was.
        assert {job.id for job in kept} == set(storm.accepted.values())
        for value, job_id in storm.accepted.items():
            job = await backend.job(OWNER, job_id)
            assert job is not None
            events = await told(backend, job)
            assert [event["event"] for event in events].count("done") == 1
            assert events[-1]["event"] == "done"
            if job.state == "failed":
                assert job.error.startswith(("the worker was killed by signal 9", "the service stopped"))
                continue
            assert job.state == "done"
            if value % 4 == 0:
                assert events[-1]["outputs"] == {"result": 3 * value + 4}
            elif value % 4 == 1:
                file = await backend.picture(OWNER, job_id, 0)
                assert file is not None
                assert file.data == bytes([value % 256]) * (200 + value)
            else:
                assert ends[value] >= 1
        load = await backend.load()
        assert load.done + load.failed == JOBS
        assert load.done > JOBS * 3 // 4


def _check_workers(notes: Path) -> None:
    """Check that no worker was still at work once the next had begun."""
    workers = [line.split()[2] for line in notes.read_text().splitlines()]
    changes = [pid for pid, before in zip(workers, ["", *workers], strict=False) if pid != before]
    assert len(changes) == len(set(changes))
