"""The ledger alone: commits, transitions, what survives."""

import asyncio
import shutil
import sqlite3
import threading
import time
from functools import partial
from pathlib import Path
from random import Random

import pytest

from engine.errors import CacheError
from nodes.values import File
from nova_graph.service import transitions
from nova_graph.service.backend import StoreFull
from nova_graph.service.bounds import Retention
from nova_graph.service.event_text import Lines
from nova_graph.service.ledger import Ledger, open_ledger
from nova_graph.service.schema import open_writer
from nova_graph.service.transitions import Entry, Outcome


def entry(number: int, *, owner: str = "a", key: str = "", webhook: str = "") -> Entry:
    return Entry(
        number=number,
        id=f"job{number}",
        owner=owner,
        graph="custom",
        inputs='{"prompt":"@_@"}',
        document=b'{"nova":1}',
        idempotency_key=key,
        request=key and f"digest of {key}",
        webhook_url=webhook,
        seconds=60.0,
        accepted=1000.0 + number,
    )


def picture(text: bytes, seed: int | None = 1) -> File:
    return File(text, "image/png", 8, 9, seed, "pixels")


def done(at: float = 2000.0) -> Outcome:
    return Outcome(state="done", ended=at, ran=2, cached=3)


async def begin(ledger: Ledger, number: int) -> bool:
    change = partial(transitions.begin, number=number, lines=Lines(("running",)), at=1.5, cold=0.5, attempts=1)
    return await ledger.make(change)


async def add(ledger: Ledger, number: int, *texts: str) -> bool:
    return await ledger.make(partial(transitions.append, number=number, lines=Lines(texts)))


async def finish(ledger: Ledger, number: int, *files: File, at: float = 2000.0) -> bool:
    return await ledger.finish(number, done(at), files, Lines(("done",)))


def test_changes_that_come_together_share_one_commit(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            held = threading.Event()
            first = ledger.make(lambda _: held.wait())
            rest = [ledger.accept(entry(number), Lines(("queued",))) for number in range(1, 201)]
            held.set()
            await asyncio.gather(first, *rest)
            assert ledger.commits <= 2
            assert len(ledger.read.unfinished()) == 200

    asyncio.run(check())


def test_a_patient_change_shares_the_commit_of_the_next(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            await ledger.accept(entry(1), Lines(("queued",)))
            before = ledger.commits
            change = partial(transitions.begin, number=1, lines=Lines(("running",)), at=1.5, cold=0.5, attempts=1)
            patient = ledger.note(change, patiently=True)
            assert await finish(ledger, 1)
            assert await patient
            assert ledger.commits == before + 1
            assert [event.data for event in ledger.read.events(1, 0)] == ["queued", "running", "done"]

    asyncio.run(check())


def test_a_patient_change_is_made_though_none_follows(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            await ledger.accept(entry(1), Lines(("queued",)))
            assert await ledger.note(partial(transitions.append, number=1, lines=Lines(("x",))), patiently=True)
            last = ledger.note(partial(transitions.append, number=1, lines=Lines(("y",))), patiently=True)
        assert await last
        async with await open_ledger(tmp_path) as ledger:
            assert [event.data for event in ledger.read.events(1, 0)] == ["queued", "x", "y"]

    asyncio.run(check())


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "ledger.sqlite")
    full = 2
    assert connection.execute("PRAGMA synchronous").fetchone() == (full,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_one_bad_change_does_not_spoil_the_others(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            held = threading.Event()
            waiting = ledger.make(lambda _: held.wait())
            good = [ledger.accept(entry(number), Lines()) for number in (1, 2)]
            bad = ledger.accept(entry(1), Lines())
            more = ledger.accept(entry(3), Lines())
            held.set()
            await asyncio.gather(waiting, *good, more)
            with pytest.raises(sqlite3.IntegrityError):
                await bad
            assert [found.number for found in ledger.read.unfinished()] == [1, 2, 3]

    asyncio.run(check())


def test_a_job_goes_through_its_states_with_its_events(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            await ledger.accept(entry(1), Lines(("queued",)))
            assert await begin(ledger, 1)
            assert await add(ledger, 1, "x", "y")
            assert await add(ledger, 1, "z")
            assert await finish(ledger, 1, picture(b"one", 2**64 - 1), picture(b"two", None))
            events = ledger.read.events(1, 0)
            assert [(event.number, event.data) for event in events] == list(
                enumerate(["queued", "running", "x", "y", "z", "done"], start=1)
            )
            assert [event.data for event in ledger.read.events(1, 3)] == ["y", "z", "done"]
            assert ledger.read.events(1, 6) == []
            job = ledger.read.job("a", "job1")
            assert job is not None
            assert (job.state, job.ran, job.cached, job.pictures, job.attempts) == ("done", 2, 3, 2, 1)
            assert job.inputs == {"prompt": "@_@"}
            assert await ledger.picture("a", "job1", 0) == picture(b"one", 2**64 - 1)
            assert await ledger.picture("a", "job1", 1) == picture(b"two", None)
            assert await ledger.picture("a", "job1", 2) is None
            assert ledger.read.document(1) is None

    asyncio.run(check())


def test_a_job_that_is_over_stays_as_it_is(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            await ledger.accept(entry(1), Lines(("queued",)))
            assert await finish(ledger, 1)
            failed = Outcome(state="failed", ended=3000.0, error="late")
            assert not await ledger.finish(1, failed, [], Lines(("again",)))
            assert not await begin(ledger, 1)
            assert not await add(ledger, 1, "more")
            assert not await ledger.make(
                partial(transitions.put_back, number=1, lines=Lines(("queued",)), attempts=1, careful=False)
            )
            assert [event.data for event in ledger.read.events(1, 0)] == ["queued", "done"]
            job = ledger.read.job("a", "job1")
            assert job is not None
            assert (job.state, job.ended, job.error) == ("done", 2000.0, "")

    asyncio.run(check())


def test_owners_do_not_see_one_another(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            await ledger.accept(entry(1, owner="a", key="k"), Lines())
            await ledger.accept(entry(2, owner="b", key="k"), Lines())
            await finish(ledger, 1, picture(b"mine"))
            assert ledger.read.job("b", "job1") is None
            assert await ledger.picture("b", "job1", 0) is None
            assert [job.id for job in ledger.read.jobs("b", limit=10, before=None)] == ["job2"]
            assert ledger.read.jobs("b", limit=10, before="job1") == ()
            keyed = ledger.read.job_with_key("b", "k")
            assert keyed is not None
            assert keyed.id == "job2"

    asyncio.run(check())


def test_an_owner_uses_an_idempotency_key_once(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            await ledger.accept(entry(1, key="k"), Lines())
            with pytest.raises(sqlite3.IntegrityError):
                await ledger.accept(entry(2, key="k"), Lines())

    asyncio.run(check())


def test_jobs_are_listed_newest_first_in_pages(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            for number in range(1, 8):
                await ledger.accept(entry(number), Lines())
            first = ledger.read.jobs("a", limit=3, before=None)
            assert [job.number for job in first] == [7, 6, 5]
            assert [job.number for job in ledger.read.jobs("a", limit=3, before=first[-1].id)] == [4, 3, 2]

    asyncio.run(check())


def test_a_second_service_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path):
            with pytest.raises(CacheError, match="another service is using"):
                await open_ledger(tmp_path)
        async with await open_ledger(tmp_path):
            pass

    asyncio.run(check())


def test_what_is_no_ledger_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(CacheError, match=r"cannot be used: file is not a database"):
        asyncio.run(open_ledger(tmp_path))


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "ledger.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(CacheError, match="newer version"):
        asyncio.run(open_ledger(tmp_path))


def test_a_ledger_of_the_first_version_goes_on(tmp_path: Path) -> None:
    async def fill() -> None:
        async with await open_ledger(tmp_path) as ledger:
            await ledger.accept(entry(1, key="k"), Lines())

    asyncio.run(fill())
    connection = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    connection.executescript(
        "DROP VIEW shown; ALTER TABLE jobs DROP COLUMN request; PRAGMA user_version = 1;"
        "CREATE VIEW shown AS SELECT number, id, owner, graph, state, inputs, webhook_url, accepted, started, ended, "
        "error, pictures, cached, ran, attempts, cold FROM jobs;"
    )
    connection.close()

    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            await ledger.accept(entry(2, key="l"), Lines())
            found = [ledger.read.job_with_key("a", key) for key in ("k", "l")]
            assert [job and (job.id, job.request) for job in found] == [("job1", ""), ("job2", "digest of l")]
            assert [job.id for job in ledger.read.unfinished()] == ["job1", "job2"]
        async with await open_ledger(tmp_path) as ledger:
            assert len(ledger.read.unfinished()) == 2

    asyncio.run(check())


def test_a_copy_torn_at_any_byte_opens_with_whole_jobs(tmp_path: Path) -> None:
    random = Random(5)

    async def write() -> None:
        async with await open_ledger(tmp_path / "live") as ledger:
            for number in range(1, 41):
                ledger.note(partial(transitions.accept, entry=entry(number), lines=Lines(("queued", "more"))))
                if number % 2:
                    await begin(ledger, number)
                if number % 4 == 1:
                    await finish(ledger, number)
            await add(ledger, 40, "last")
            shutil.copytree(tmp_path / "live", tmp_path / "copy")

    asyncio.run(write())
    log = (tmp_path / "copy" / "ledger.sqlite-wal").read_bytes()
    assert len(log) > 50_000
    for cut in [0, 10, 4096, *(random.randrange(len(log)) for _ in range(20)), len(log)]:
        torn = tmp_path / f"torn{cut}"
        torn.mkdir()
        shutil.copy(tmp_path / "copy" / "ledger.sqlite", torn)
        (torn / "ledger.sqlite-wal").write_bytes(log[:cut])
        asyncio.run(_check_whole(torn, everything=cut == len(log)))


async def _check_whole(folder: Path, *, everything: bool) -> None:
    async with await open_ledger(folder) as ledger:
        jobs = ledger.read.jobs("a", limit=1000, before=None)
        # A prefix of what was committed: no job without those before it, each with the events of its state.
        assert sorted(job.number for job in jobs) == list(range(1, len(jobs) + 1))
        for job in jobs:
            events = [event.data for event in ledger.read.events(job.number, 0)]
            assert events[:2] == ["queued", "more"]
            assert ("running" in events) == (job.started is not None)
            assert (events[-1] == "done") == (job.state == "done")
            assert (ledger.read.document(job.number) is None) == (job.state == "done")
        assert len(jobs) == 40 or not everything


def test_blobs_that_nothing_refers_to_are_swept_at_the_start(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            await ledger.accept(entry(1), Lines())
            await finish(ledger, 1, picture(b"kept"))
            folder = tmp_path / "blobs"
            kept = [path for path in folder.rglob("*") if path.is_file()]
            orphan = folder / "ab" / ("ab" * 32)
            orphan.parent.mkdir(exist_ok=True)
            orphan.write_bytes(b"orphan")
            leftover = folder / "ab" / ".some.tmp"
            leftover.write_bytes(b"half")
        async with await open_ledger(tmp_path) as ledger:
            assert [path for path in folder.rglob("*") if path.is_file()] == kept
            assert await ledger.picture("a", "job1", 0) == picture(b"kept")

    asyncio.run(check())


def test_a_damaged_blob_is_no_picture(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            await ledger.accept(entry(1), Lines())
            await finish(ledger, 1, picture(b"whole"))
            (blob,) = (path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
            blob.write_bytes(b"other")
            assert await ledger.picture("a", "job1", 0) is None

    asyncio.run(check())


def test_old_jobs_are_forgotten_with_their_pictures_and_still_counted(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path, Retention(seconds=100.0)) as ledger:
            for number in (1, 2, 3):
                await ledger.accept(entry(number), Lines(("queued",)))
            await finish(ledger, 1, picture(b"old"), picture(b"shared"), at=1000.0)
            await finish(ledger, 2, picture(b"shared"), at=1050.0)
            assert await ledger.expire(now=1120.0) == 1
            assert ledger.read.job("a", "job1") is None
            assert ledger.read.events(1, 0) == []
            assert await ledger.picture("a", "job2", 0) == picture(b"shared")
            assert len([path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]) == 1
            assert await ledger.expire(now=5000.0) == 1
            assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
            assert ledger.read.totals()["done"] == 2
            assert [found.number for found in ledger.read.unfinished()] == [3]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("keep", "left"), [(Retention(jobs=2, seconds=1e12), 2), (Retention(bytes=2500, seconds=1e12), 2)]
)
def test_jobs_beyond_the_number_or_the_bytes_go_the_oldest_first(tmp_path: Path, keep: Retention, left: int) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path, keep) as ledger:
            for number in range(1, 6):
                await ledger.accept(entry(number), Lines())
                await finish(ledger, number, picture(bytes([number]) * 1000), at=2000.0 + number)
            assert await ledger.expire() == 5 - left
            assert [job.number for job in ledger.read.jobs("a", limit=9, before=None)] == [5, 4][:left]

    asyncio.run(check())


@pytest.mark.parametrize("keep", [Retention(jobs=5, seconds=1e12), Retention(bytes=5500, seconds=1e12)])
def test_nobody_pushes_out_what_another_keeps(tmp_path: Path, keep: Retention) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path, keep) as ledger:
            owners = "abccbcccc"
            for number, owner in enumerate(owners, start=1):
                await ledger.accept(entry(number, owner=owner), Lines())
                await finish(ledger, number, picture(bytes([number]) * 1000), at=2000.0 + number)
            assert await ledger.expire() == len(owners) - 5
            left = {owner: [job.number for job in ledger.read.jobs(owner, limit=9, before=None)] for owner in "abc"}
            assert left == {"a": [1], "b": [5, 2], "c": [9, 8]}

    asyncio.run(check())


def test_a_job_whose_webhook_was_not_told_is_kept(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path, Retention(jobs=0)) as ledger:
            await ledger.accept(entry(1, webhook="https://example.com/done"), Lines())
            await ledger.accept(entry(2), Lines())
            assert [job.id for job in ledger.read.webhooks_due()] == ["job1"]
            await finish(ledger, 1)
            assert [job.id for job in ledger.read.webhooks_due()] == ["job1"]
            assert await ledger.expire() == 0
            await ledger.make(partial(transitions.webhook_told, job_id="job1"))
            assert ledger.read.webhooks_due() == ()
            assert await ledger.expire() == 1

    asyncio.run(check())


def test_no_webhook_is_left_out_however_many_there_are(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path) as ledger:
            webhook = "https://example.com/done"
            await asyncio.gather(*(ledger.accept(entry(n, webhook=webhook), Lines()) for n in range(1, 1202)))
            assert len(ledger.read.webhooks_due()) == 1201

    asyncio.run(check())


def test_numbers_are_not_used_again(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path, Retention(jobs=0)) as ledger:
            await ledger.accept(entry(7), Lines())
            await finish(ledger, 7)
            await ledger.expire()
        async with await open_ledger(tmp_path) as ledger:
            assert ledger.read.last_number() == 7

    asyncio.run(check())


def test_a_disk_without_room_is_an_error(tmp_path: Path) -> None:
    async def check() -> None:
        free = shutil.disk_usage(tmp_path).free
        async with await open_ledger(tmp_path, Retention(spare=free * 2)) as ledger:
            with pytest.raises(StoreFull, match="disk of the service is full"):
                ledger.accept(entry(1), Lines())
            assert ledger.read.unfinished() == []

    asyncio.run(check())


def test_a_picture_is_not_lost_to_a_look_for_old_ones_meanwhile(tmp_path: Path) -> None:
    async def check() -> None:
        async with await open_ledger(tmp_path, Retention(jobs=0)) as ledger:
            for number in range(1, 60):
                await ledger.accept(entry(number), Lines())
                shared = picture(b"the same for all")
                ending = asyncio.create_task(finish(ledger, number, shared, at=time.time()))
                await asyncio.gather(ending, ledger.expire(), ledger.expire())
                if ledger.read.job("a", f"job{number}") is not None:
                    assert await ledger.picture("a", f"job{number}", 0) == shared

    asyncio.run(check())
