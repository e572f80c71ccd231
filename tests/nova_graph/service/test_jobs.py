"""Jobs through a backend and its worker: results, events, order, limits, owners."""

import asyncio
import json
from pathlib import Path

import pytest

from nodes.values import File
from nova_graph.service.backend import Answer, QueueFull
from nova_graph.service.bounds import Bounds, Retention
from nova_graph.service.local import start_backend
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
    until_ready,
)

PICTURE = File(b"bytes", "image/png", 4, 5, 2**64 - 1, "pixels")


def test_a_job_runs_and_tells_what_it_does(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await run(backend, trivial(5), inputs={"prompt": "1girl"})
            assert (job.state, job.ran, job.cached, job.attempts, job.error) == ("done", 6, 0, 1, "")
            assert job.inputs == {"prompt": "1girl"}
            assert job.cold > 0
            assert job.started is not None
            events = await told(backend, job)
            assert kinds(events) == ["queued", "running", "planned", *["started", "finished"] * 6, "done"]
            assert result_of(events) == 19
            assert (events[-1]["outcome"], events[-1]["ran"]) == ("ok", 6)
            again = await run(backend, trivial(5))
            assert (again.ran, again.cold) == (0, 0.0)
            assert again.number == job.number + 1

    asyncio.run(check())


def test_pictures_are_kept(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await run(backend, single("Draw", size=3, count=2, seed=2**64 - 1))
            assert job.pictures == 2
            files = [await backend.picture(OWNER, job.id, index) for index in range(3)]
            assert files == [
                File(b"\xff" * 3, "image/png", 8, 8, 2**64 - 1, f"pixels {2**64 - 1}"),
                File(b"\xff" * 4, "image/png", 8, 8, 2**64 - 1, f"pixels {2**64 - 1}"),
                None,
            ]
            assert await backend.picture("another", job.id, 0) is None
            last = (await told(backend, job))[-1]
            assert [one["index"] for one in last["pictures"]] == [0, 1]
            large = await run(backend, single("Draw", size=5 << 20))
            (file,) = [await backend.picture(OWNER, large.id, 0)]
            assert file is not None
            assert len(file.data) == 5 << 20

    asyncio.run(check())


def test_an_answer_needs_no_worker(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            answer = Answer(files=(PICTURE,), events=('{"event":"planned"}', '{"event":"done"}'), cached=4)
            job = await backend.submit(new_job(trivial(1), webhook_url="https://example.com"), answer)
            assert not await backend.ready()
            assert (job.state, job.cached, job.ran, job.pictures) == ("done", 4, 0, 1)
            assert await backend.job(OWNER, job.id) == job
            assert await backend.picture(OWNER, job.id, 0) == PICTURE
            assert kinds(await told(backend, job)) == ["planned", "done"]
            assert [due.id for due in await backend.webhooks_due()] == [job.id]
            await backend.webhook_told(job.id)
            assert await backend.webhooks_due() == ()
            assert (await backend.load()).done == 1

    asyncio.run(check())


def test_the_same_idempotency_key_gives_the_same_job(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            first = [backend.submit(new_job(trivial(value), idempotency_key="k")) for value in range(5)]
            ids = {job.id for job in await asyncio.gather(*first)}
            assert len(ids) == 1
            other = await backend.submit(new_job(trivial(1), idempotency_key="k", owner="another"))
            assert other.id not in ids
            await ended(backend, other)
            late = await backend.submit(new_job(trivial(9), idempotency_key="k"))
            assert {late.id} == ids
            await ended(backend, late)
        async with running(tmp_path) as backend:
            later = await backend.submit(new_job(trivial(9), idempotency_key="k"))
            assert ({later.id}, later.state) == (ids, "done")

    asyncio.run(check())


def test_a_client_that_goes_away_while_it_hands_in_changes_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            await until_ready(backend)
            handing = asyncio.create_task(backend.submit(new_job(trivial(1))))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            handing.cancel()
            await asyncio.wait([handing])
            await run(backend, trivial(2))
            kept = await backend.jobs(OWNER, limit=9, before=None)
            assert [(await ended(backend, job)).state for job in kept] == ["done", "done"]

    asyncio.run(check())


def test_owners_do_not_see_one_another(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await backend.submit(new_job(single("Wait")))
            for found in (
                await backend.job("another", job.id),
                await backend.cancel("another", job.id),
                await backend.wait("another", job.id, 0.0),
            ):
                assert found is None
            assert [event async for event in backend.events("another", job.id, 0)] == []
            assert await backend.jobs("another", limit=9, before=None) == ()
            assert (await backend.unfinished(OWNER), await backend.unfinished("another")) == (1, 0)
            await backend.cancel(OWNER, job.id)
            await ended(backend, job)
            assert await backend.unfinished(OWNER) == 0
            assert [event async for event in backend.events("another", job.id, 0)] == []

    asyncio.run(check())


def test_jobs_run_in_order_and_owners_take_turns(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        async with running(tmp_path) as backend:
            crowd = [await backend.submit(new_job(single("Note", path=str(notes), value=value))) for value in range(6)]
            other = await backend.submit(new_job(single("Note", path=str(notes), value=9), owner="b"))
            assert [job.position for job in crowd] == list(range(6))
            assert other.position is not None
            assert other.position <= 1
            for job in [*crowd, other]:
                await ended(backend, job)

    asyncio.run(check())
    order = [int(line.split()[1]) for line in notes.read_text().splitlines() if line.startswith("begin")]
    assert [value for value in order if value != 9] == list(range(6))
    assert order.index(9) <= 1


def test_a_running_job_can_be_followed_and_taken_up_again(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await backend.submit(new_job(single("Wait", steps=60)))
            seen: list[str] = []
            previews = 0
            async for event in backend.events(OWNER, job.id, 0):
                tree = json.loads(event.data)
                previews += "preview" in tree
                seen.append(tree["event"])
                if len(seen) == 6:
                    break
            assert seen[:4] == ["queued", "running", "planned", "started"]
            rest = await told(backend, job, after=6)
            whole = await told(backend, job)
            assert kinds(whole) == [*seen, *kinds(rest)]
            assert rest[-1]["event"] == "done"
            assert previews
            assert not any("preview" in event for event in whole)
            steps = [event["step"] for event in whole if event["event"] == "progress"]
            assert steps == sorted(set(steps))
            assert steps[-1] == 60
            assert await told(backend, job, after=len(whole)) == []

    asyncio.run(check())


def test_two_followers_see_the_same(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await backend.submit(new_job(single("Wait", steps=20)))
            first, second = await asyncio.gather(told(backend, job), told(backend, job, after=2))
            assert kinds(first[2:]) == kinds(second)

    asyncio.run(check())


def test_events_beyond_the_bounds_are_left_out_in_words(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path, Bounds(events=10)) as backend:
            job = await run(backend, single("Chatter", times=500))
            events = await told(backend, job)
            assert job.state == "done"
            assert len(events) == 13
            assert "left out" in events[-2]["text"]
            assert events[-1]["event"] == "done"

    asyncio.run(check())


def test_many_events_come_whole_and_in_order(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await backend.submit(new_job(single("Chatter", times=5000)))
            live = await told(backend, job)
            warnings = [event["text"] for event in live if event["event"] == "warned"]
            assert warnings == [f"warning {number}" for number in range(5000)]
            assert await told(backend, job) == live

    asyncio.run(check())


def test_pictures_beyond_the_bounds_fail_the_job(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path, Bounds(result_bytes=1000)) as backend:
            job = await run(backend, single("Draw", size=600, count=2))
            assert (job.state, job.pictures) == ("failed", 0)
            assert job.error == "the pictures have 1,201 bytes together; at most 1,000 are kept"

    asyncio.run(check())


def test_a_full_queue_refuses_until_there_is_room(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    async def check() -> None:
        async with running(tmp_path, Bounds(queue=4, owner_queue=3)) as backend:
            blocker = await backend.submit(new_job(single("Wait", path=str(notes))))
            await until_lines(notes, 1)
            # One more is with the worker already, waiting for its turn.
            kept = [await backend.submit(new_job(trivial(value))) for value in range(4)]
            with pytest.raises(QueueFull) as caught:
                await backend.submit(new_job(trivial(9)))
            assert caught.value.retry_after >= 1
            kept.append(await backend.submit(new_job(trivial(9), owner="b")))
            with pytest.raises(QueueFull):
                await backend.submit(new_job(trivial(9), owner="c"))
            answered = await backend.submit(new_job(trivial(9)), Answer(files=(), events=(), cached=1))
            assert answered.state == "done"
            await backend.cancel(OWNER, blocker.id)
            for job in kept:
                assert (await ended(backend, job)).state == "done"
            assert (await run(backend, trivial(9))).state == "done"

    asyncio.run(check())


def test_a_queue_full_of_bytes_refuses_too(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path, Bounds(queue_bytes=3000)) as backend:
            await backend.submit(new_job(single("Fail", text="x" * 2500)))
            with pytest.raises(QueueFull):
                await backend.submit(new_job(single("Fail", text="y" * 2500)))

    asyncio.run(check())


def test_waiting_gives_up_after_its_time(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path) as backend:
            job = await backend.submit(new_job(single("Wait")))
            found = await backend.wait(OWNER, job.id, 0.05)
            assert found is not None
            assert found.ended is None
            assert await backend.wait(OWNER, "unknown", 5.0) is None

    asyncio.run(check())


def test_old_jobs_go_by_themselves(tmp_path: Path) -> None:
    async def check() -> None:
        async with running(tmp_path, retention=Retention(seconds=0.0, interval=0.05)) as backend:
            job = await run(backend, single("Draw"))
            while await backend.job(OWNER, job.id) is not None:
                await asyncio.sleep(0.02)
            assert await backend.picture(OWNER, job.id, 0) is None
            assert [event async for event in backend.events(OWNER, job.id, 0)] == []

    asyncio.run(check())


def test_a_closed_backend_takes_no_job(tmp_path: Path) -> None:
    async def check() -> None:
        backend = await start_backend(tmp_path / "service")
        await backend.close()
        with pytest.raises(QueueFull):
            await backend.submit(new_job(trivial(1)))
        assert not await backend.ready()

    asyncio.run(check())
