"""Calls to receivers that are slow or silent, from a courier whose waits are short."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from nova_graph.http.addresses import Resolve, resolve_host
from nova_graph.http.privacy import Discretion
from nova_graph.http.problems import Trouble
from nova_graph.http.settings import HttpSettings, Network, read_http_settings
from nova_graph.http.webhooks import OWN, TOGETHER, Courier, Pace
from nova_graph.service.backend import Answer, Job
from nova_graph.service.local import LocalBackend
from tests.nova_graph.service.driving import new_job, running

LOOPBACK: tuple[Network, ...] = read_http_settings({"NOVA_WEBHOOK_NETWORKS": "127.0.0.1/32"}).webhook_networks
SETTINGS = HttpSettings(webhook_secret=SecretStr("secret"), webhook_networks=LOOPBACK, webhook_http=True)
ANSWER = Answer(files=(), events=(json.dumps({"event": "done"}),), cached=1)


class Receiver:
    """A server that answers with a status, or sends header after header and never the end of them."""

    def __init__(self, status: int, *, trickles: bool) -> None:
        self.calls: asyncio.Queue[str] = asyncio.Queue()
        self.hosts: list[str] = []
        self.url = ""
        self._status = status
        self.taking: set[asyncio.Task[None] | None] = set()
        self._trickles = trickles

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taking.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.hosts.append(head.partition("Host: ")[2].partition("\r")[0])
            self.calls.put_nowait(head.partition("webhook-id: ")[2].partition("\r")[0])
            writer.write(b"HTTP/1.1 %d It\r\nConnection: close\r\n" % self._status)
            while self._trickles:
                writer.write(b"X-More: 1\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
            writer.write(b"\r\n")
        writer.close()


@asynccontextmanager
async def receiving(status: int = 204, *, trickles: bool = False) -> AsyncIterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(status, trickles=trickles)
    server = await asyncio.start_server(receiver.take, "127.0.0.1", 0)
    async with server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield receiver
    await asyncio.gather(*filter(None, receiver.taking))


@asynccontextmanager
async def calling(
    backend: LocalBackend, pace: Pace, settings: HttpSettings = SETTINGS, resolve: Resolve = resolve_host
) -> AsyncIterator[Courier]:
    """Run a courier."""
    courier = Courier(backend, settings, Discretion((), ()), pace=pace, resolve=resolve)
    await courier.start()
    yield courier
    await courier.close()


async def done(backend: LocalBackend, courier: Courier, url: str, owner: str = "alice") -> Job:
    """Return a job that is done, and whose webhook is watched."""
    job = await backend.submit(new_job({}, owner=owner, webhook_url=url), ANSWER)
    courier.watch(job)
    return job


def test_a_receiver_that_trickles_is_left_and_called_again(tmp_path: Path) -> None:
    async def check() -> None:
        pace = Pace(patience=0.2, first_wait=0.01)
        async with running(tmp_path) as backend, receiving(trickles=True) as slow, calling(backend, pace) as courier:
            job = await done(backend, courier, slow.url)
            async with asyncio.timeout(30):
                assert [await slow.calls.get() for _ in range(2)] == [job.id] * 2

    asyncio.run(check())


def test_slow_receivers_of_one_owner_keep_no_other_waiting(tmp_path: Path) -> None:
    async def check() -> None:
        pace = Pace(patience=600)
        async with (
            running(tmp_path) as backend,
            receiving(trickles=True) as slow,
            receiving() as quick,
            calling(backend, pace) as courier,
        ):
            for _ in range(2 * TOGETHER):
                await done(backend, courier, slow.url)
            async with asyncio.timeout(30):
                for _ in range(OWN):
                    await slow.calls.get()
                job = await done(backend, courier, quick.url, "bob")
                assert await quick.calls.get() == job.id
            assert slow.calls.empty()

    asyncio.run(check())


def test_a_webhook_is_given_up_after_its_time(tmp_path: Path) -> None:
    async def check() -> None:
        pace = Pace(first_wait=0.01, lasting=0.0)
        async with running(tmp_path) as backend, receiving(500) as receiver, calling(backend, pace) as courier:
            await done(backend, courier, receiver.url)
            async with asyncio.timeout(30):
                while await backend.webhooks_due():
                    await asyncio.sleep(0.01)
            assert receiver.calls.qsize() == 1

    asyncio.run(check())


def test_webhooks_that_nobody_takes_are_bounded(tmp_path: Path) -> None:
    async def check() -> None:
        pace = Pace(pending=2)
        async with running(tmp_path) as backend, receiving(500) as receiver, calling(backend, pace) as courier:
            for _ in range(2):
                courier.check("alice", receiver.url)
                await done(backend, courier, receiver.url)
            with pytest.raises(Trouble, match="not taken yet"):
                courier.check("alice", receiver.url)
            courier.check("bob", receiver.url)

    asyncio.run(check())


class Names:
    """Answers each question for a name with the next of these addresses; no resolver of the system knows the name."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return [self._addresses.pop(0)]


def test_a_call_connects_to_the_address_that_was_checked(tmp_path: Path) -> None:
    async def check() -> None:
        names = Names("127.0.0.1")
        async with (
            running(tmp_path) as backend,
            receiving() as receiver,
            calling(backend, Pace(), resolve=names.resolve) as courier,
        ):
            url = receiver.url.replace("127.0.0.1", "hooks.invalid")
            job = await done(backend, courier, url)
            async with asyncio.timeout(30):
                assert await receiver.calls.get() == job.id
            assert receiver.hosts == [url.split("/")[2]]
            assert names.asked == ["hooks.invalid"]

    asyncio.run(check())


def test_a_name_that_moves_inside_is_not_called(tmp_path: Path) -> None:
    async def check() -> None:
        names = Names("127.0.0.1", "127.0.0.2")
        async with (
            running(tmp_path) as backend,
            receiving(500) as receiver,
            calling(backend, Pace(first_wait=0.01), resolve=names.resolve) as courier,
        ):
            await done(backend, courier, receiver.url.replace("127.0.0.1", "hooks.invalid"))
            async with asyncio.timeout(30):
                while await backend.webhooks_due():
                    await asyncio.sleep(0.01)
            assert receiver.calls.qsize() == 1
            assert names.asked == ["hooks.invalid"] * 2

    asyncio.run(check())
