"""Jobs that fail, hang, eat memory and kill: the worker, or another in its place, goes on."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from engine.values import Json
from nodes.library import built_in
from nova_graph.service.bounds import Bounds
from nova_graph.service.perform import in_tiles
from tests.nova_graph.service.driving import (
    OWNER,
    ended,
    kinds,
    new_job,
    result_of,
    run,
    running,
    single,
    told,
    trivial,
    until_lines,
)

QUICK = Bounds(cancel_grace=0.3)


def test_jobs_that_fail_leave_the_worker_alive(tmp_path: Path) -> None:
    wrong: dict[str, tuple[dict[str, Json], str]] = {
        "raises": (single("Fail", text="no luck"), "one (Fail) failed: ValueError: no luck"),
        "quits": (single("Quit", value=3), "SystemExit: 3"),
        "unknown type": (single("Nothing"), "Nothing"),
        "no graph": ({"nova": 1}, "nodes"),
        "a path": (
            {
                "nova": 1,
                "nodes": {"one": {"type": "LoadImage", "inputs": {"picture": "/etc/hostname"}}},
                "outputs": {"result": "$one.image"},
            },
            "not a plain name",
        ),
    }

    async def check() -> None:
        async with running(tmp_path) as backend:
            assert (await run(backend, trivial(1))).state == "done"
            pid = backend.worker_pid
            for document, words in wrong.values():
                job = await run(backend, document)
                assert job.state == "failed"
                assert words in job.error
                events = await told(backend, job)
                assert kinds(events)[-2] in ("failed", "error")
                assert words in events[-2]["error"]
                assert (events[-1]["event"], events[-1]["outcome"]) == ("done", "failed")
            assert (await run(backend, trivial(2))).state == "done"
            assert backend.worker_pid == pid
            load = await backend.load()
            assert (load.done, load.failed, load.restarts) == (2, len(wrong), 0)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (single("Exit", status=7), "the worker ended with exit status 7"),
        (single("Signal", path="{notes}", number=int(signal.SIGSEGV)), "the worker was killed by signal 11, SIGSEGV"),
    ],
)
def test_a_job_that_kills_its_worker_fails_and_the_queue_goes_on(
    tmp_path: Path, document: dict[str, Json], reason: str
) -> None:
    document = _with_path(document, tmp_path / "notes")

    async def check() -> None:
        async with running(tmp_path) as backend:
            jobs = [await backend.submit(new_job(graph)) for graph in (trivial(1), document, trivial(2), trivial(3))]
            states = [await ended(backend, job) for job in jobs]
            assert [job.state for job in states] == ["done", "failed", "done", "done"]
            assert states[1].error == reason
            assert states[1].attempts == 1
            assert states[2].attempts == 1
            events = await told(backend, states[1])
            assert kinds(events)[-2:] == ["error", "done"]
            assert events[-2]["error"] == reason
            assert (await backend.load()).restarts == 1

    asyncio.run(check())


def test_a_killed_worker_gets_one_more_try(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            once = await run(backend, single("Signal", path=str(tmp_path / "once"), times=1))
            assert (once.state, once.attempts) == ("done", 2)
            events = await told(backend, once)
            again = [event["reason"] for event in events if event["event"] == "queued" and "reason" in event]
            assert again == ["the worker was killed by signal 9, SIGKILL (out of memory?); once more, in tiles"]
            assert kinds(events).count("done") == 1
            always = await run(backend, single("Signal", path=str(tmp_path / "always"), times=99))
            assert (always.state, always.attempts) == ("failed", 2)
            assert always.error == "the worker was killed by signal 9, SIGKILL (out of memory?)"

    asyncio.run(check())
    assert len((tmp_path / "always").read_text().splitlines()) == 2


def test_a_job_without_memory_is_run_once_more_in_tiles(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            once = await run(backend, single("Eat", path=str(tmp_path / "once"), times=1))
            assert (once.state, once.attempts) == ("done", 2)
            assert result_of(await told(backend, once)) == 512
            always = await run(backend, single("Eat", path=str(tmp_path / "always"), times=9))
            assert (always.state, always.attempts) == ("failed", 2)
            assert "MemoryError" in always.error
            assert (await backend.load()).restarts == 0

    asyncio.run(check())
    assert (tmp_path / "once").read_text() == "tile None\ntile 512\n"


@pytest.mark.parametrize(("times", "loaded"), [(0, 1), (1, 2)])
def test_what_stays_loaded_is_forgotten_where_memory_ran_out(tmp_path: Path, times: int, loaded: int) -> None:
    use: dict[str, Json] = {"path": str(tmp_path / "loads"), "value": 64 << 20}
    eat: dict[str, Json] = {"path": str(tmp_path / "meals"), "limit": "$use.value", "times": times}
    document: dict[str, Json] = {
        "nova": 1,
        "nodes": {"use": {"type": "Use", "inputs": use}, "eat": {"type": "Eat", "inputs": eat}},
        "outputs": {"result": "$eat.value"},
    }

    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await run(backend, document)
            assert (job.state, job.attempts) == ("done", times + 1)
            assert (await run(backend, single("Use", **use))).state == "done"
            assert (await backend.load()).restarts == 0

    asyncio.run(check())
    assert (tmp_path / "loads").read_text() == "loaded\n" * loaded


def test_a_worker_whose_device_has_failed_is_replaced(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            assert (await run(backend, trivial(1))).state == "done"
            before = backend.worker_pid
            jobs = [await backend.submit(new_job(graph)) for graph in (single("Lose"), trivial(2), trivial(3))]
            states = [await ended(backend, job) for job in jobs]
            assert [(job.state, job.attempts) for job in states] == [("failed", 1), ("done", 1), ("done", 1)]
            assert "CUDA error: device-side assert triggered" in states[0].error
            assert backend.worker_pid != before
            assert (await backend.load()).restarts == 1

    asyncio.run(check())


def test_a_running_job_is_cancelled_between_steps(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await backend.submit(new_job(single("Wait", path=str(notes))))
            await until_lines(notes, 1)
            asked = await backend.cancel(OWNER, job.id)
            assert asked is not None
            over = await ended(backend, job)
            assert (over.state, over.error) == ("cancelled", "")
            last = (await told(backend, job))[-1]
            assert (last["event"], last["outcome"]) == ("done", "cancelled")
            assert await backend.cancel(OWNER, job.id) == over
            assert (await run(backend, trivial(1))).state == "done"
            assert (await backend.load()).restarts == 0

    asyncio.run(check())


def test_a_waiting_job_is_cancelled_at_once(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        async with running(tmp_path) as backend:
            blocker = await backend.submit(new_job(single("Wait", path=str(notes))))
            await until_lines(notes, 1)
            jobs = [
                await backend.submit(new_job(single("Note", path=str(tmp_path / "never"), value=value)))
                for value in range(4)
            ]
            # The first is with the worker already, though not begun; the others are in the queue.
            asked = [await backend.cancel(OWNER, job.id) for job in jobs]
            assert [job.state for job in asked if job is not None][1:] == ["cancelled"] * 3
            await backend.cancel(OWNER, blocker.id)
            for job in jobs:
                over = await ended(backend, job)
                assert over.state == "cancelled"
                assert kinds(await told(backend, over))[-1] == "done"

    asyncio.run(check())
    assert not (tmp_path / "never").exists()


def test_a_job_that_does_not_listen_is_ended_with_its_worker(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        async with running(tmp_path, QUICK) as backend:
            deaf = await backend.submit(new_job(single("Deaf", path=str(notes))))
            next_one = await backend.submit(new_job(trivial(1)))
            await until_lines(notes, 1)
            await backend.cancel(OWNER, deaf.id)
            assert (await ended(backend, deaf)).state == "cancelled"
            after = await ended(backend, next_one)
            assert (after.state, after.attempts) == ("done", 1)

    asyncio.run(check())


@pytest.mark.parametrize("kind", ["Wait", "Deaf"])
def test_a_job_that_takes_too_long_fails(tmp_path: Path, kind: str) -> None:
    async def check() -> None:
        async with running(tmp_path, QUICK) as backend:
            late = await run(backend, single(kind, path=str(tmp_path / "notes")), seconds=0.2)
            assert late.state == "failed"
            assert late.error == "the job took longer than the 0.2 s it may take"
            events = await told(backend, late)
            assert [event["error"] for event in events if event["event"] == "error"] == [late.error]
            assert (await run(backend, trivial(1))).state == "done"

    asyncio.run(check())


def test_a_worker_that_talks_nonsense_is_replaced(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await run(backend, single("Babble"))
            assert job.state == "failed"
            assert job.error.startswith("the worker sent what nobody understands")
            assert (await run(backend, trivial(1))).state == "done"

    asyncio.run(check())


def test_nodes_that_can_work_in_tiles_do_when_memory_is_short() -> None:
    tree: dict[str, Json] = {
        "nodes": {
            "decode": {"type": "Decode", "inputs": {"vae": "$vae.vae", "latents": "$sampler.latents"}},
            "fixed": {"type": "Decode", "inputs": {"vae": "$vae.vae", "latents": "$sampler.latents", "tile": 256}},
            "png": {"type": "Serializer", "inputs": {"image": "$decode.image"}},
            "bare": {"type": "PAG"},
        }
    }
    tiled = in_tiles(tree, built_in())["nodes"]
    assert tiled["decode"]["inputs"]["tile"] == 512
    assert tiled["fixed"]["inputs"]["tile"] == 256
    assert "tile" not in tiled["png"]["inputs"]
    assert tiled["bare"] == {"type": "PAG"}


def test_what_nodes_print_does_not_disturb(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await run(backend, single("Chatter", times=30))
            assert job.state == "done"
            assert kinds(await told(backend, job)).count("warned") == 30

    asyncio.run(check())


def _with_path(document: dict[str, Json], path: Path) -> dict[str, Json]:
    filled: dict[str, Json] = json.loads(json.dumps(document).replace("{notes}", str(path)))
    return filled
