"""One run from plan to outputs: fetch what is missing, plan again, execute."""

import time

from engine.assets import Report
from engine.errors import AssetError, Cancelled
from engine.events import Fetching
from engine.execute import Outcome, execute
from engine.plan import Pending, Plan, make_plan, placed
from engine.services import Cancel, Services
from engine.telling import OnEvent


def run_plan(
    plan: Plan, services: Services, *, on_event: OnEvent, cancel: Cancel | None = None, previews: bool = False
) -> tuple[Plan, Outcome]:
    """Run a plan; assets that are not here yet are downloaded first and the rest is planned with their content.

    Returns the plan that was executed and its outcome. Raises AssetError, NodeError, Cancelled.
    """
    began = time.perf_counter()
    cancel = cancel or Cancel()
    while plan.pending:
        for pending in plan.pending:
            _fetch(pending, services, on_event, cancel, began)
        plan = make_plan(plan.bound, services)
    outcome = execute(plan, services, on_event=on_event, cancel=cancel, previews=previews, began=began)
    return plan, outcome


def _fetch(pending: Pending, services: Services, on_event: OnEvent, cancel: Cancel, began: float) -> None:
    node = pending.node
    unheard: list[Exception] = []

    def report(done: int, total: int | None, what: str) -> None:
        seconds = time.perf_counter() - began
        event = Fetching(seconds=seconds, node=node.id, type=node.declaration.name, done=done, total=total, what=what)
        try:
            on_event(event)
        except Exception as error:
            unheard.append(error)
            raise Cancelled from error
        cancel.check()

    try:
        _fetch_placed(pending, services, report)
    except Cancelled:
        if unheard:  # the listener's own error, which downloads would take for one of theirs
            raise unheard[0] from None
        raise


def _fetch_placed(pending: Pending, services: Services, report: Report) -> None:
    try:
        services.assets.fetch(pending.fetchable.asset, report)
    except AssetError as error:
        raise placed(error, pending.node, pending.port) from error
