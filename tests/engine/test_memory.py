"""Outputs in memory: the least recently used go first, and only they."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from engine.memory import Memory, size_of
from engine.node import Output
from engine.values import Value


class Bytes(Output):
    data: bytes


def output(size: int) -> Bytes:
    return Bytes(data=bytes(size))


UNIT = size_of(output(100))


@dataclass(frozen=True, slots=True)
class Chain(Value):
    rest: "Chain | None" = None


class Chained(Output):
    chain: Chain


def test_what_is_put_is_got() -> None:
    memory = Memory(10 * UNIT)
    one = output(100)
    memory.put("a", one)
    assert memory.get("a") is one
    assert memory.get("b") is None
    assert (len(memory), memory.bytes) == (1, UNIT)


def test_the_size_is_that_of_the_ports() -> None:
    assert size_of(output(5000)) - size_of(output(1000)) == 4000


def test_the_least_recently_used_goes() -> None:
    memory = Memory(3 * UNIT)
    for key in "abc":
        memory.put(key, output(100))
    memory.get("a")
    memory.put("d", output(100))
    assert [key for key in "abcd" if key in memory] == ["a", "c", "d"]


def test_what_is_larger_than_the_budget_is_not_kept_and_pushes_nothing_out() -> None:
    memory = Memory(3 * UNIT)
    memory.put("a", output(100))
    memory.put("b", output(100_000))
    assert (memory.get("b"), len(memory)) == (None, 1)


def test_a_larger_result_of_the_same_key_replaces_the_smaller() -> None:
    memory = Memory(3 * UNIT)
    memory.put("a", output(100))
    memory.put("a", output(101))
    assert (memory.bytes, len(memory)) == (UNIT + 1, 1)


def test_what_is_nested_too_deep_to_measure_is_not_kept() -> None:
    links = Chain()
    for _ in range(100_000):
        links = Chain(links)
    memory = Memory(10 * UNIT)
    memory.put("a", Chained(chain=links))
    assert len(memory) == 0


def test_clear_forgets_everything() -> None:
    memory = Memory(10 * UNIT)
    memory.put("a", output(100))
    memory.clear()
    assert (memory.get("a"), len(memory), memory.bytes) == (None, 0, 0)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 400), st.booleans())), st.integers(0, 1500))
def test_it_behaves_like_a_list_in_order_of_use(calls: list[tuple[str, int, bool]], budget: int) -> None:
    memory = Memory(budget)
    model: list[tuple[str, int]] = []
    for key, size, putting in calls:
        known = next((entry for entry in model if entry[0] == key), None)
        if known is not None:
            model.remove(known)
        if putting:
            memory.put(key, output(size))
            known = (key, size_of(output(size)))
            known = known if known[1] <= budget else None
        else:
            got = memory.get(key)
            assert (got is None) == (known is None)
        if known is not None:
            model.append(known)
        while sum(size for _, size in model) > budget:
            model.pop(0)
        assert memory.bytes == sum(size for _, size in model) <= budget
        assert len(memory) == len(model)


def test_evicting_one_entry_changes_no_other() -> None:
    memory = Memory(2 * UNIT)
    kept = output(100)
    memory.put("kept", kept)
    for number in range(50):
        memory.put(str(number), output(100))
        assert memory.get("kept") is kept


def test_many_threads_never_exceed_the_budget_or_mix_keys_up() -> None:
    memory = Memory(20 * UNIT)

    def work(seed: int) -> bool:
        right = True
        for step in range(500):
            number = (seed * 31 + step * 7) % 50
            memory.put(str(number), output(number))
            got = memory.get(str(number))
            right = right and (got is None or (isinstance(got, Bytes) and len(got.data) == number))
        return right

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert 0 < memory.bytes <= 20 * UNIT
