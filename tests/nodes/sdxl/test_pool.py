"""The pool loads once, keeps what is used, forgets what is not, and remembers no failure."""

import gc
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.environment import Environment
from engine.errors import AssetMissing
from engine.values import Handle, Loading
from nodes.sdxl.pool import Pool, weight_bytes
from nodes.sdxl.text import LiveTextEncoders
from tests.tiny import text_encoders, unet


class Block(torch.nn.Module):
    """Some bytes of weights."""

    def __init__(self, nbytes: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.zeros(nbytes, dtype=torch.uint8))


@dataclass
class Shelf:
    """A `Loading` that notes what is loaded, and may object."""

    object_to: Callable[[str, int], None] = lambda name, attempt: None
    loads: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    environment: Environment = field(default_factory=Environment)

    def path(self, sha256: str) -> Path:
        self.loads.append(sha256)
        self.object_to(sha256, self.loads.count(sha256))
        return Path(sha256)

    def check(self, sha256: str) -> None:
        """Nothing here can change."""

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@dataclass(frozen=True, slots=True)
class Thing(Handle[Block]):
    """A recipe for a block of that many bytes."""

    name: str
    nbytes: int = 10

    def load(self, loading: Loading) -> Block:
        loading.path(self.name)
        loading.warn(f"loading {self.name}")
        return Block(self.nbytes)


def names(pool: Pool) -> list[str]:
    return [cast("Thing", resident.handle).name for resident in pool.report()]


def use(pool: Pool, *things: Thing) -> None:
    for thing in things:
        with pool.resident(thing):
            pass


def test_a_thing_is_loaded_once_and_shared() -> None:
    shelf = Shelf()
    pool = Pool(100, shelf)
    with pool.resident(Thing("a")) as first, pool.resident(Thing("a")) as second:
        assert first is second
        assert pool.report()[0].users == 2
    with pool.resident(Thing("a")) as third:
        assert third is first
    assert shelf.loads == ["a"]


def test_the_longest_unused_goes_first() -> None:
    pool = Pool(30, Shelf())
    use(pool, Thing("a"), Thing("b"), Thing("c"), Thing("a"), Thing("d"))
    assert names(pool) == ["c", "a", "d"]


def test_what_is_in_use_stays_whatever_the_budget() -> None:
    shelf = Shelf()
    pool = Pool(15, shelf)
    with pool.resident(Thing("a")), pool.resident(Thing("b")):
        use(pool, Thing("c"))
        assert names(pool) == ["a", "b"]
        assert pool.clear() == 0
    assert names(pool) == ["a"], "released first, b was the longest unused"
    assert shelf.loads == ["a", "b", "c"]


def test_what_is_larger_than_the_budget_lives_while_it_is_used() -> None:
    pool = Pool(5, Shelf())
    with pool.resident(Thing("a")) as live:
        assert weight_bytes(live) == 10
    assert names(pool) == []


def test_forgotten_things_are_gone() -> None:
    pool = Pool(100, Shelf())
    with pool.resident(Thing("a")) as live:
        watched = weakref.ref(live)
    del live
    assert pool.clear() == 10
    gc.collect()
    assert watched() is None


def test_a_failing_load_leaves_nothing_and_can_be_tried_again() -> None:
    def object_to(name: str, attempt: int) -> None:
        if attempt == 1:
            raise AssetMissing(f"{name} is not there")

    shelf = Shelf(object_to)
    pool = Pool(100, shelf)
    with pytest.raises(AssetMissing, match="a is not there"), pool.resident(Thing("a")):
        pass
    assert pool.report() == ()
    use(pool, Thing("a"))
    assert names(pool) == ["a"]


def test_an_error_of_the_borrower_gives_the_thing_back() -> None:
    pool = Pool(100, Shelf())
    with pytest.raises(RuntimeError, match="mine"), pool.resident(Thing("a")):
        raise RuntimeError("mine")
    assert [resident.users for resident in pool.report()] == [0]


def test_many_threads_load_once() -> None:
    shelf = Shelf(lambda name, attempt: time.sleep(0.02))
    pool = Pool(100, shelf)
    barrier = threading.Barrier(8)

    def borrow(_number: int) -> int:
        barrier.wait()
        with pool.resident(Thing("a")) as live:
            return id(live)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(borrow, range(8)))) == 1
    assert shelf.loads == ["a"]
    assert [resident.users for resident in pool.report()] == [0]


def test_those_who_wait_for_a_failing_load_try_for_themselves() -> None:
    started = threading.Event()

    def object_to(name: str, attempt: int) -> None:
        if attempt == 1:
            started.set()
            time.sleep(0.05)
            raise AssetMissing("cancelled, say")

    shelf = Shelf(object_to)
    pool = Pool(100, shelf)

    def wait_and_use() -> None:
        started.wait()
        use(pool, Thing("a"))

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(use, pool, Thing("a"))
        others = [threads.submit(wait_and_use) for _ in range(3)]
        assert isinstance(first.exception(), AssetMissing)
        assert [other.exception() for other in others] == [None] * 3
    assert shelf.loads == ["a", "a"]


def test_different_things_load_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10)

    def object_to(name: str, attempt: int) -> None:
        both.wait()

    pool = Pool(100, Shelf(object_to))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda name: use(pool, Thing(name)), "ab"))
    assert sorted(names(pool)) == ["a", "b"]


def test_out_of_memory_makes_room_and_tries_once_more() -> None:
    def object_to(name: str, attempt: int) -> None:
        if name == "big" and attempt == 1:
            raise torch.OutOfMemoryError("out of memory")

    shelf = Shelf(object_to)
    pool = Pool(100, shelf)
    with pool.resident(Thing("used")):
        use(pool, Thing("idle"), Thing("big"))
        assert sorted(names(pool)) == ["big", "used"]
    assert shelf.loads == ["used", "idle", "big", "big"]


def test_warnings_reach_whoever_asked() -> None:
    shelf, heard = Shelf(), list[str]()
    pool = Pool(100, shelf)
    with pool.resident(Thing("a"), heard.append):
        pass
    use(pool, Thing("b"))
    assert heard == ["loading a"]
    assert shelf.warnings == ["loading b"]


def test_weights_are_measured_through_dataclasses_and_counted_once() -> None:
    own = unet()
    size = sum(parameter.numel() * 4 for parameter in own.parameters())
    assert weight_bytes(own) == size
    live = text_encoders()
    shared = LiveTextEncoders(live.tokenizer, live.tokenizer_2, live.text_encoder, live.text_encoder_2)
    assert weight_bytes(shared) == weight_bytes(live.text_encoder) + weight_bytes(live.text_encoder_2)
    assert weight_bytes("anything else") == 0


class Life(RuleBasedStateMachine):
    """Borrow and give back at random: the budget holds but for what is in use, and nothing in use is ever reloaded."""

    @initialize(budget=st.integers(0, 60))
    def begin(self, budget: int) -> None:
        self.budget = budget
        self.shelf = Shelf()
        self.pool = Pool(budget, self.shelf)
        self.borrowed: list[tuple[Thing, Block, object]] = []

    @rule(name=st.sampled_from("abcd"), nbytes=st.sampled_from([5, 10, 20]))
    def borrow(self, name: str, nbytes: int) -> None:
        thing = Thing(name, nbytes)
        lent = self.pool.resident(thing)
        live = lent.__enter__()
        held = [other for mine, other, _ in self.borrowed if mine == thing]
        assert all(other is live for other in held)
        self.borrowed.append((thing, live, lent))

    @rule(index=st.integers(0, 100))
    def give_back(self, index: int) -> None:
        if self.borrowed:
            _, _, lent = self.borrowed.pop(index % len(self.borrowed))
            lent.__exit__(None, None, None)  # type: ignore[attr-defined]

    @rule()
    def clear(self) -> None:
        self.pool.clear()
        assert all(resident.users for resident in self.pool.report())

    @invariant()
    def the_budget_holds(self) -> None:
        residents = self.pool.report()
        idle = [resident for resident in residents if resident.users == 0]
        assert not idle or sum(resident.nbytes for resident in residents) <= self.budget
        used = {resident.handle: resident.users for resident in residents if resident.users}
        assert used == {thing: [mine for mine, _, _ in self.borrowed].count(thing) for thing, _, _ in self.borrowed}


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
