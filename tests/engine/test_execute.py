"""Running a plan: order, concurrency, the device lane, failures, cancelling, memory."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.cache import Cache
from engine.errors import Cancelled, NodeError, OutputError
from engine.events import AnyEvent, Cached, Done, Failed, Finished, Planned, Progress, Started, Warned
from engine.execute import execute
from engine.memory import Memory
from engine.plan import make_plan
from engine.services import Cancel, Services
from tests.engine.build import Run, graph, services
from tests.engine.waiting import Kept, waiting

NODES = waiting()


def test_a_sum_is_right_and_every_event_is_in_order() -> None:
    bound = graph(
        NODES,
        {
            "a": ("Number", {"value": 1}),
            "b": ("Number", {"value": 2}),
            "c": ("Add", {"left": "$a.value", "right": "$b.value"}),
        },
        {"sum": "$c.value"},
    )
    run = Run(bound, services())
    assert run.outputs == {"sum": 3}
    assert isinstance(run.events[0], Planned)
    assert run.events[0].to_run == ("a", "b", "c")
    assert isinstance(run.events[-1], Done)
    assert run.events[-1].outcome == "ok"
    names = [(type(event).__name__, getattr(event, "node", "")) for event in run.events[1:-1]]
    assert names == [(kind, node) for node in "abc" for kind in ("Started", "Finished")]
    assert [event.seconds for event in run.events] == sorted(event.seconds for event in run.events)


def test_a_second_run_computes_nothing() -> None:
    bound = graph(
        NODES, {"a": ("Number", {"value": 1}), "b": ("Add", {"left": "$a.value", "right": 2})}, {"sum": "$b.value"}
    )
    within = services()
    Run(bound, within)
    again = Run(bound, within)
    assert again.outputs == {"sum": 3}
    assert again.ran == set()
    cached = {event.node: event.where for event in again.events if isinstance(event, Cached)}
    assert cached == {"a": "unneeded", "b": "memory"}


def test_only_what_the_outputs_need_runs() -> None:
    bound = graph(NODES, {"a": ("Number", {"value": 1}), "b": ("Fail", {})}, {"one": "$a.value"})
    assert Run(bound, services()).ran == {"a"}


def test_nodes_with_one_key_run_once() -> None:
    bound = graph(
        NODES,
        {
            "a": ("Number", {"value": 4}),
            "b": ("Number", {"value": 4}),
            "c": ("Add", {"left": "$a.value", "right": "$b.value"}),
        },
        {"sum": "$c.value", "b": "$b.value"},
    )
    run = Run(bound, services())
    assert run.outputs == {"sum": 8, "b": 4}
    assert run.ran == {"a", "c"}


def test_a_makeshift_and_what_follows_is_not_cached() -> None:
    bound = graph(
        NODES,
        {
            "a": ("Number", {"value": 4}),
            "rough": ("Rough", {"value": "$a.value"}),
            "twin": ("Rough", {"value": "$a.value"}),
            "sum": ("Add", {"left": "$twin.value", "right": 1}),
            "other": ("Add", {"left": "$a.value", "right": 1}),
        },
        {"rough": "$rough.value", "sum": "$sum.value", "other": "$other.value"},
    )
    within = services()
    first = Run(bound, within)
    assert first.outputs == {"rough": 5, "sum": 6, "other": 5}
    (warning,) = [event for event in first.events if isinstance(event, Warned)]
    assert (warning.node, warning.text) == ("rough", "one more than was asked for; not cached")
    assert Run(bound, within).ran == {"rough", "sum"}


def test_twenty_waiting_branches_overlap() -> None:
    """Each branch ends only when all twenty run at the same time."""
    branches = {f"m{i}": ("Meet", {"name": i}) for i in range(20)}
    bound = graph(
        NODES, {**branches, "sum": ("Sum", {"items": [f"$m{i}.value" for i in range(20)]})}, {"sum": "$sum.value"}
    )
    assert Run(bound, services()).outputs == {"sum": 190}


def test_the_device_is_used_by_one_node_at_a_time() -> None:
    branches = {f"w{i}": ("DeviceWait", {"milliseconds": 5, "name": i}) for i in range(6)}
    idle = {f"i{i}": ("Wait", {"milliseconds": 5, "name": i}) for i in range(6)}
    items = [f"${name}.value" for name in [*branches, *idle]]
    bound = graph(NODES, {**branches, **idle, "sum": ("Sum", {"items": items})}, {"sum": "$sum.value"})
    assert Run(bound, services()).outputs == {"sum": 30}


def test_two_runs_share_the_device_too() -> None:
    within = services()
    failures: list[BaseException] = []

    def draw(first: int) -> None:
        nodes = {f"w{i}": ("DeviceWait", {"milliseconds": 5, "name": first + i}) for i in range(4)}
        bound = graph(NODES, nodes, {name: f"${name}.value" for name in nodes})
        try:
            Run(bound, within)
        except NodeError as error:
            failures.append(error)

    threads = [threading.Thread(target=draw, args=(first,)) for first in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_failing_node_is_named_with_its_type_and_cause_and_stores_nothing() -> None:
    bound = graph(
        NODES,
        {"bad": ("Fail", {"after": 3}), "sum": ("Add", {"left": "$bad.value", "right": 1})},
        {"sum": "$sum.value"},
    )
    within = services()
    events: list[AnyEvent] = []
    with pytest.raises(NodeError, match=r"bad \(Fail\) failed: ValueError: no 3") as caught:
        execute(make_plan(bound, within), within, on_event=events.append)
    assert isinstance(caught.value.cause, ValueError)
    assert caught.value.node == "bad"
    assert [event.node for event in events if isinstance(event, Failed)] == ["bad"]
    assert isinstance(events[-1], Done)
    assert events[-1].outcome == "failed"
    assert {step.status for step in make_plan(bound, within).steps} == {"run"}


def test_what_finished_before_a_failure_is_kept() -> None:
    bound = graph(
        NODES,
        {"a": ("Number", {"value": 1}), "b": ("Fail", {}), "c": ("Add", {"left": "$a.value", "right": "$b.value"})},
        {"sum": "$c.value"},
    )
    within = services()
    with pytest.raises(NodeError):
        Run(bound, within)
    statuses = {step.id: step.status for step in make_plan(bound, within).steps}
    assert statuses == {"a": "memory", "b": "run", "c": "run"}


def test_a_node_that_breaks_its_promise_is_caught() -> None:
    bound = graph(NODES, {"a": ("Lie", {})}, {"a": "$a.value"})
    with pytest.raises(NodeError, match=r"Lie.run returned Said, not Num"):
        Run(bound, services())


def test_cancelling_stops_between_steps() -> None:
    bound = graph(NODES, {"a": ("Steps", {"total": 1000})}, {"a": "$a.value"})
    within = services()
    cancel = Cancel()
    events: list[AnyEvent] = []

    def watch(event: AnyEvent) -> None:
        events.append(event)
        if isinstance(event, Progress) and event.step == 3:
            cancel.set()

    with pytest.raises(Cancelled):
        execute(make_plan(bound, within), within, on_event=watch, cancel=cancel)
    assert [event.step for event in events if isinstance(event, Progress)] == [1, 2, 3]
    assert isinstance(events[-1], Done)
    assert events[-1].outcome == "cancelled"
    assert Run(bound, within).outputs == {"a": 1000}


def test_a_run_that_is_cancelled_before_it_starts_runs_nothing() -> None:
    bound = graph(NODES, {"a": ("Number", {"value": 1})}, {"a": "$a.value"})
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        Run(bound, services(), cancel=cancel)


@pytest.mark.parametrize("previews", [True, False])
def test_previews_are_made_only_for_who_asks(previews: bool) -> None:
    bound = graph(NODES, {"a": ("Steps", {"total": 2})}, {"a": "$a.value"})
    within = services()
    events: list[AnyEvent] = []
    execute(make_plan(bound, within), within, on_event=events.append, previews=previews)
    made = [event.preview for event in events if isinstance(event, Progress)]
    assert made == ([b"picture"] * 2 if previews else [None] * 2)


def test_an_interrupt_from_the_keyboard_is_passed_on_and_ends_the_run() -> None:
    bound = graph(NODES, {"a": ("Steps", {"total": 10})}, {"a": "$a.value"})
    within = services()
    events: list[AnyEvent] = []

    def press(event: AnyEvent) -> None:
        events.append(event)
        if isinstance(event, Progress):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(make_plan(bound, within), within, on_event=press)
    assert isinstance(events[-1], Done)
    assert events[-1].outcome == "cancelled"


@pytest.mark.parametrize("kind", [Planned, Started, Progress, Finished, Done])
def test_what_a_listener_raises_ends_the_run_as_it_is(kind: type[AnyEvent]) -> None:
    nodes: dict[str, tuple[str, dict[str, object]]] = {f"s{i}": ("Steps", {"total": 3 + i}) for i in range(8)}
    bound = graph(NODES, nodes, {name: f"${name}.value" for name in nodes})
    within = services()
    heard: list[AnyEvent] = []

    def hear(event: AnyEvent) -> None:
        heard.append(event)
        if isinstance(event, kind):
            raise BrokenPipeError("nobody reads this")

    with pytest.raises(BrokenPipeError, match="nobody reads this"):
        execute(make_plan(bound, within), within, on_event=hear)
    assert [isinstance(event, kind) for event in heard].count(True) == 1
    assert isinstance(heard[-1], kind)


def test_a_listener_that_fails_at_the_end_does_not_hide_why_a_node_failed() -> None:
    bound = graph(NODES, {"a": ("Fail", {})}, {"a": "$a.value"})
    within = services()

    def hear(event: AnyEvent) -> None:
        if isinstance(event, Done):
            raise BrokenPipeError

    with pytest.raises(NodeError):
        execute(make_plan(bound, within), within, on_event=hear)


@pytest.mark.parametrize(
    ("speechless", "told"), [(False, "ValueError: aside"), (True, "its message cannot be read (RuntimeError)")]
)
def test_a_failure_in_a_thread_is_told_whoever_hears_it_and_whatever_it_says(speechless: bool, told: str) -> None:
    """A thread of the engine must never end by an error of its own: pytest fails where one does."""
    nodes = {f"a{name}": ("FailAside", {"name": name, "speechless": speechless}) for name in range(2)}
    bound = graph(NODES, nodes, {name: f"${name}.value" for name in nodes})
    within = services()

    def hear(event: AnyEvent) -> None:
        if isinstance(event, Failed):
            raise BrokenPipeError

    with pytest.raises(NodeError) as caught:
        execute(make_plan(bound, within), within, on_event=hear)
    assert told in str(caught.value)


def test_a_run_that_waits_for_the_device_can_be_cancelled() -> None:
    bound = graph(NODES, {"a": ("DeviceWait", {"milliseconds": 1})}, {"a": "$a.value"})
    within, cancel, begun = services(), Cancel(), threading.Event()

    def hear(event: AnyEvent) -> None:
        if isinstance(event, Started):
            begun.set()

    with within.lane, ThreadPoolExecutor(1) as pool:
        waiting_run = pool.submit(execute, make_plan(bound, within), within, on_event=hear, cancel=cancel)
        assert begun.wait(60)
        cancel.set()
        assert isinstance(waiting_run.exception(60), Cancelled)
    assert execute(make_plan(bound, within), within, on_event=hear).outputs


def test_an_output_of_another_type_is_told_without_pydantic_s_words() -> None:
    bound = graph(NODES, {"m": ("Mistyped", {})}, {"m": "$m.value"})
    with pytest.raises(NodeError) as caught:
        Run(bound, services())
    told = "m (Mistyped) failed: Mistyped.run gave what it does not declare: value: Input should be a valid integer"
    assert str(caught.value) == f"{told}, got str"
    assert isinstance(caught.value.cause, OutputError)


def test_a_consumer_cannot_change_what_is_cached() -> None:
    bound = graph(
        NODES,
        {"t": ("MakeToken", {"name": "mine"}), "v": ("Vandal", {"token": "$t.token"})},
        {"said": "$v.text", "t": "$t.token"},
    )
    within = services()
    assert Run(bound, within).outputs["said"] == "could not change mine"
    assert Run(bound, within).outputs["t"].name == "mine"  # type: ignore[attr-defined]


def test_an_impure_node_runs_every_time_and_so_does_what_follows() -> None:
    bound = graph(
        NODES,
        {"n": ("Number", {"value": 1}), "c": ("Chance", {}), "s": ("Add", {"left": "$c.value", "right": "$n.value"})},
        {"sum": "$s.value"},
    )
    within = services()
    Run(bound, within)
    assert Run(bound, within).ran == {"c", "s"}


def test_a_literal_without_a_canonical_form_runs_every_time_and_says_so_once() -> None:
    bound = graph(
        NODES,
        {"o": ("Odd", {"number": Kept(3)}), "s": ("Add", {"left": "$o.value", "right": 1})},
        {"sum": "$s.value"},
    )
    within = services()
    for _ in range(2):
        run = Run(bound, within)
        assert run.ran == {"o", "s"}
        warned = [event.text for event in run.events if isinstance(event, Warned)]
        assert warned == ["cannot be cached: a Kept cannot be part of a key"]


def test_memory_stays_flat_along_a_chain_of_a_thousand_megabytes() -> None:
    nodes: dict[str, tuple[str, dict[str, object]]] = {"f0": ("Fill", {"index": 0})}
    for i in range(1, 1000):
        nodes[f"f{i}"] = ("Fill", {"index": i, "before": f"$f{i - 1}.block"})
    nodes["end"] = ("Blockless", {"block": "$f999.block"})
    bound = graph(NODES, nodes, {"size": "$end.value"})
    within = Services(cache=Cache(Memory(8 << 20), None, lambda text: None))
    tracemalloc.start()
    try:
        assert Run(bound, within).outputs == {"size": 1 << 20}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20


def test_five_thousand_nodes_in_every_shape_do_not_recurse() -> None:
    chain: dict[str, tuple[str, dict[str, object]]] = {"n0": ("Number", {"value": 0})}
    for i in range(1, 5000):
        chain[f"n{i}"] = ("Add", {"left": f"$n{i - 1}.value", "right": 1})
    assert Run(graph(NODES, chain, {"last": "$n4999.value"}), services()).outputs == {"last": 4999}
    fan = {f"n{i}": ("Number", {"value": i}) for i in range(4999)}
    items = [f"${name}.value" for name in fan]
    bound = graph(NODES, {**fan, "sum": ("Sum", {"items": items})}, {"sum": "$sum.value"})
    assert Run(bound, services()).outputs == {"sum": sum(range(4999))}
    ladder: dict[str, tuple[str, dict[str, object]]] = {"n0": ("Number", {"value": 1})}
    for i in range(1, 60):
        ladder[f"n{i}"] = ("Add", {"left": f"$n{i - 1}.value", "right": f"$n{i - 1}.value"})
    assert Run(graph(NODES, ladder, {"last": "$n59.value"}), services()).outputs == {"last": 2**59}
