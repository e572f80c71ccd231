"""Taking up the jobs that were not over when the last service ended, however it ended."""

import time

from nova_graph.service.bounds import Bounds
from nova_graph.service.dispatcher import Dispatcher
from nova_graph.service.event_text import Lines
from nova_graph.service.live import LiveJob
from nova_graph.service.readings import Unfinished
from nova_graph.service.register import Register
from nova_graph.service.reports import Report, done_lines, outcome_of


async def restore(register: Register, dispatcher: Dispatcher, bounds: Bounds) -> None:
    """Let every job that was not over wait again, but for those that were cancelled or were begun too often."""
    ledger = register.ledger
    for found in ledger.read.unfinished():
        report = _end_of(found, bounds)
        if report is not None:
            await ledger.finish(found.number, outcome_of(report, time.time()), (), done_lines(Lines(), report))
            register.totals[report.state] += 1
            continue
        live = _live(found)
        if found.state == "running":
            register.put_back(live, "the service stopped", attempts=found.attempts)
        dispatcher.add(live)


def _end_of(found: Unfinished, bounds: Bounds) -> Report | None:
    if found.cancelled:
        return Report(state="cancelled")
    if found.attempts >= bounds.attempts:
        error = f"the service stopped {found.attempts} times while it was on this job"
        return Report(state="failed", error=error, told=False)
    return None


def _live(found: Unfinished) -> LiveJob:
    return LiveJob(
        number=found.number,
        id=found.id,
        owner=found.owner,
        graph=found.graph,
        inputs=found.inputs,
        accepted=found.accepted,
        seconds=found.seconds,
        webhook_url=found.webhook_url,
        request=found.request,
        document_size=found.document_size,
        attempts=found.attempts,
        careful=found.careful,
        restored=True,
        last_event=found.last_event,
    )
