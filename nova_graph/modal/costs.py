"""What calls took and cost, as lines for people."""

from collections.abc import Sequence

from nova_graph.modal.drawing import Drawn
from nova_graph.modal.prices import AS_OF, estimate
from nova_graph.modal.wire import Report


def cost_line(drawn: Drawn) -> str:
    """Return a line with GPU seconds, what they cost about, the cold start and the cache; also for a failed call."""
    report = drawn.report
    if report is None:
        return "no GPU was asked" if drawn.error else "every result was known: no GPU was asked"
    priced = estimate(report.device, billed(report))
    spent = str(priced) if priced else f"{report.seconds:.1f} s on {report.device or 'a processor'}, not priced"
    start = max(drawn.waited, report.cold)
    cold = f"cold start {start:.1f} s" if report.number == 1 else "warm container"
    return f"{spent}; {cold}; {report.ran} nodes ran, {report.cached} cached"


def total_line(runs: Sequence[Drawn]) -> str:
    """Return a line with what many calls cost together, failed ones included."""
    reports = [drawn.report for drawn in runs if drawn.report is not None]
    seconds: dict[str, float] = {}
    for report in reports:
        device = report.device or "a processor"
        seconds[device] = seconds.get(device, 0.0) + billed(report)
    priced = [each for device, spent in seconds.items() if (each := estimate(device, spent)) is not None]
    dollars = sum(each.dollars for each in priced)
    parts = [f"{spent:.1f} s on {device}" for device, spent in sorted(seconds.items())]
    price = f", about ${dollars:.4f} (prices of {AS_OF})" if priced else ", not priced"
    lost = sum(drawn.is_lost for drawn in runs)
    told = [*([f"{', '.join(parts)}{price}"] if parts else []), *([f"what {lost} took is not known"] if lost else [])]
    return f"{len(reports) + lost} GPU calls in all: {'; '.join(told) or 'nothing was left to compute'}"


def billed(report: Report) -> float:
    """Return the seconds of a call, its container's start included, for which a GPU is paid."""
    return report.seconds + report.cold
