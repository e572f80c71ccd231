"""Who is next."""

from hypothesis import given
from hypothesis import strategies as st

from nova_graph.service.live import LiveJob
from nova_graph.service.queue import FairQueue


def job(number: int, owner: str = "a", size: int = 0) -> LiveJob:
    return LiveJob(
        number=number,
        id=f"{owner}{number}",
        owner=owner,
        graph="",
        inputs="{}",
        accepted=0,
        seconds=1,
        document_size=size,
    )


def drained(queue: FairQueue) -> list[str]:
    names = []
    while (taken := queue.next(lambda _: True)) is not None:
        names.append(taken.id)
    return names


def test_one_owner_is_served_in_order() -> None:
    queue = FairQueue()
    for number in range(5):
        queue.put(job(number))
    assert drained(queue) == ["a0", "a1", "a2", "a3", "a4"]


def test_owners_take_turns() -> None:
    queue = FairQueue()
    for number in range(4):
        queue.put(job(number, "a"))
    queue.put(job(4, "b"))
    queue.put(job(5, "c"))
    assert drained(queue) == ["a0", "b4", "c5", "a1", "a2", "a3"]


def test_a_job_that_comes_back_keeps_its_place() -> None:
    queue = FairQueue()
    jobs = [job(number) for number in range(3)]
    for each in jobs:
        queue.put(each)
    first = queue.next(lambda _: True)
    assert first is jobs[0]
    queue.put(first)
    assert drained(queue) == ["a0", "a1", "a2"]


def test_an_owner_whose_turn_cannot_be_now_is_passed_over() -> None:
    queue = FairQueue()
    queue.put(job(0, "a"))
    queue.put(job(1, "b"))
    taken = queue.next(lambda one: one.owner != "a")
    assert taken is not None
    assert taken.id == "b1"
    assert queue.next(lambda one: one.owner != "a") is None
    assert len(queue) == 1


@given(st.lists(st.sampled_from("abc"), max_size=12), st.data())
def test_positions_tell_the_order_in_which_jobs_are_taken(owners: list[str], data: st.DataObject) -> None:
    queue = FairQueue()
    jobs = [job(number, owner, number) for number, owner in enumerate(owners)]
    for each in jobs:
        queue.put(each)
    for _ in range(data.draw(st.integers(0, len(jobs)))):
        queue.next(lambda _: True)
    waiting = [each for each in jobs if queue.position(each) is not None]
    gone = data.draw(st.sampled_from([*waiting, None]))
    if gone is not None:
        assert queue.remove(gone)
        assert not queue.remove(gone)
        waiting.remove(gone)
    assert queue.bytes == sum(each.document_size for each in waiting)
    assert len(queue) == len(waiting)
    expected = {each.id: queue.position(each) for each in waiting}
    assert {name: index for index, name in enumerate(drained(queue))} == expected
