"""What crosses the wire between containers and clients."""

from typing import Any

import pytest

from engine.errors import AssetError, Cancelled, NodeError
from engine.events import Cached, Done, Failed, Fetching, Finished, Planned, Progress, Started, Warned
from nova_graph.modal.wire import CloudError, from_error, from_event, to_error, to_event

EVENTS = (
    Planned(seconds=0.0, nodes=("a", "b"), to_run=("a",)),
    Fetching(seconds=0.1, node="a", type="A", done=1, total=None, what="x"),
    Started(seconds=0.1, node="a", type="A"),
    Progress(seconds=0.2, node="a", type="A", step=1, total=2, preview=b"small"),
    Warned(seconds=0.2, node="a", type="A", text="hm"),
    Cached(seconds=0.2, node="b", type="B", where="disk"),
    Finished(seconds=0.3, node="a", type="A", took=0.2),
    Failed(seconds=0.3, node="a", type="A", error="no"),
    Done(seconds=0.4, outcome="ok", ran=1, cached=1),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_cross_the_wire_whole(event: Any) -> None:
    message = from_event(event)
    assert to_event(message) == event
    assert to_event({**message, "of a later version": 1}) == event
    assert to_event({"event": message["event"]}) is None


def test_errors_keep_their_exit_code_across_the_wire() -> None:
    refused = NodeError("n", "Break", AssetError("no weights"))
    assert isinstance(to_error(from_error(refused)), AssetError)
    assert isinstance(to_error(from_error(Cancelled())), Cancelled)
    fault = to_error(from_error(KeyError("x")))
    assert isinstance(fault, CloudError)
    assert fault.kind == "fault"
