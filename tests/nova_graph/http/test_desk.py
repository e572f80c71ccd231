"""The desk: what it plans at once, and what it leaves to its threads."""

import asyncio
import copy
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from engine.bind import bind
from engine.cache import Cache
from engine.memory import Memory
from engine.parse import parse
from engine.plan import make_plan
from engine.run import run_plan
from engine.services import Services
from engine.values import Json
from nodes.assets import read_settings
from nova_graph.http.desk import THREADS, Desk, Given, Ready
from nova_graph.http.library import read_library
from nova_graph.http.settings import HttpSettings
from nova_graph.http.short import CHARACTERS, NODES, is_short
from nova_graph.http.uploads import Uploads
from nova_graph.options import Options
from nova_graph.runtime import Runtime, local_runtime
from tests.nova_graph.http.serving import ROOT, Tree, adding, one
from tests.nova_graph.service.driving import NODES as ODD_NODES
from tests.nova_graph.service.driving import environ


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    assets = read_settings(environ(tmp_path), folders=(), allow_paths=False)
    with local_runtime(settings=assets, options=Options(nodes=(ODD_NODES,))) as runtime:
        yield runtime


@pytest.fixture
def desk(runtime: Runtime, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(runtime, read_library(ROOT / "graphs"), Uploads(tmp_path / "uploads"), HttpSettings())
    yield desk
    desk.close()


def loading(name: str) -> Tree:
    nodes = {"it": {"type": "LoadImage", "inputs": {"image": name}}}
    return {"nova": 1, "nodes": nodes, "outputs": {"it": "$it.images"}}


def including() -> Tree:
    return {"nova": 1, "nodes": {"it": {"graph": "default"}}, "outputs": {"it": "$it.images"}}


def many(count: int) -> Tree:
    tree = adding(1)
    tree["nodes"].update({f"more{number}": copy.deepcopy(tree["nodes"]["number"]) for number in range(count)})
    return tree


async def planned_while_all_threads_are_busy(desk: Desk, given: Given) -> bool:
    """Tell whether a graph is planned although no thread is free."""
    go = Event()
    busy = [asyncio.create_task(desk.do(go.wait)) for _ in range(THREADS)]
    planning = asyncio.create_task(_planned(desk, given))
    # Every task that can go on without a thread does so in this time.
    for _ in range(10):
        await asyncio.sleep(0)
    at_once = planning.done()
    go.set()
    await asyncio.gather(*busy, planning)
    return at_once


async def _planned(desk: Desk, given: Given) -> Ready | Exception:
    try:
        return await desk.plan("alice", given)
    except Exception as error:  # noqa: BLE001 - what is wrong with a graph does not matter here
        return error


@pytest.mark.parametrize(
    ("given", "at_once"),
    [
        (Given(tree=adding(1)), True),
        (Given(tree=adding(1), inputs={"nobody": "knows"}), True),
        (Given(tree=many(NODES - 2)), True),
        (Given(tree=many(NODES - 1)), False),
        (Given(tree=one("Number", value="x" * CHARACTERS)), False),
        (Given(tree=adding(1), inputs={"text": ["x" * CHARACTERS]}), False),
        (Given(tree=adding(1), inputs={"x" * CHARACTERS: 1}), False),
        (Given(tree=loading("picture.png")), False),
        (Given(tree=including()), False),
        (Given(tree=one("Nothing")), False),
        (Given(name="default"), False),
        (Given(tree="nova: 1\n"), False),
        (Given(tree={"nova": 1, "nodes": [1]}), False),
        (Given(tree={"nova": 1, "nodes": {"it": "Number"}}), False),
    ],
)
def test_what_is_short_needs_no_thread(desk: Desk, given: Given, at_once: bool) -> None:
    assert asyncio.run(planned_while_all_threads_are_busy(desk, given)) is at_once


def test_looking_at_a_large_body_ends_early(runtime: Runtime) -> None:
    nested: Json = []
    for _ in range(100_000):
        nested = [nested]
    tree = one("Number", value=nested)
    assert not is_short(tree, {}, runtime.registry)


def test_a_result_on_the_disk_is_read_by_a_thread_and_then_in_hand(
    desk: Desk, runtime: Runtime, tmp_path: Path
) -> None:
    tree = one("Kept", value=5)
    with Cache(Memory(0), runtime.services.cache.store, print) as other:
        services = Services(cache=other)
        run_plan(make_plan(bind(parse(tree), runtime.registry), services), services, on_event=lambda _: None)
    given = Given(tree=tree)
    assert asyncio.run(planned_while_all_threads_are_busy(desk, given)) is False
    assert asyncio.run(planned_while_all_threads_are_busy(desk, given)) is True
    ready = asyncio.run(desk.plan("alice", given))
    assert ready.answer is not None
    assert ready.answer.cached == 1


def test_both_ways_give_the_same(desk: Desk) -> None:
    given = Given(tree=adding(3))
    here, there = asyncio.run(desk.plan("alice", given)), desk.plan_here("alice", given)
    assert here.plan.steps == there.plan.steps
    assert here.document == there.document
