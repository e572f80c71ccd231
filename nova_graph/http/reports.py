"""How the service is doing: health, readiness, metrics, and how long jobs took."""

import statistics
from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from nova_graph.http.predict import wants_json
from nova_graph.http.problems import Trouble, documented
from nova_graph.http.shared import Owner, Parts
from nova_graph.http.views import HealthView, SecretView, answer
from nova_graph.http.webhooks import owner_secret
from nova_graph.service.backend import Job

router = APIRouter(tags=["service"])

TOLD = 50
"""Jobs in a timing report."""


class TimingView(BaseModel):
    """How long one job took, in seconds."""

    number: int
    job: str
    graph: str
    state: str
    waited: float = Field(description="In the queue.")
    took: float = Field(description="With a worker.")
    cold: float = Field(description="Of that, until a worker had started.")
    ran: int
    cached: int


class TimingsView(BaseModel):
    """How long your last jobs took; medians over those that are done."""

    jobs: list[TimingView]
    median_waited: float | None
    median_took: float | None


@router.get("/health", response_model=HealthView, responses=documented())
async def health(request: Request) -> Response:
    """Say that the service answers; the device is not asked."""
    return answer(HealthView(status="ok", version=request.app.version))


@router.get("/ready", response_model=HealthView, responses=documented())
async def ready(request: Request, parts: Parts) -> Response:
    """Say whether jobs would be run now."""
    if not await parts.backend.ready():
        raise Trouble(503, "Jobs are accepted, but no worker is ready.", headers={"Retry-After": "5"})
    return answer(HealthView(status="ready", version=request.app.version))


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"description": "Prometheus' text format."}, **documented()},
)
async def metrics(owner: Owner, parts: Parts) -> Response:  # noqa: ARG001 - a key is needed
    """Return figures for Prometheus."""
    text = parts.metrics.text(await parts.backend.load())
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


@router.get(
    "/timing-report",
    response_class=PlainTextResponse,
    responses={
        200: {
            "description": "A table, or JSON where that is asked for.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TimingsView"}}},
        },
        **documented(),
    },
)
async def timing_report(request: Request, owner: Owner, parts: Parts) -> Response:
    """Say how long your last jobs took, as text or as JSON."""
    timings = timings_of(await parts.backend.jobs(owner, limit=TOLD, before=None))
    return answer(timings) if wants_json(request.headers.get("accept", "")) else PlainTextResponse(_table(timings))


@router.get("/v1/webhook-secret", response_model=SecretView, responses=documented(404))
async def webhook_secret(owner: Owner, parts: Parts) -> Response:
    """Return what you check the signatures of your webhooks with."""
    if not parts.settings.webhook_secret.get_secret_value():
        raise Trouble(404, "This service sends no webhooks.")
    return answer(SecretView(secret=owner_secret(parts.settings, owner)), headers={"Cache-Control": "no-store"})


def timings_of(jobs: Sequence[Job]) -> TimingsView:
    """Return how long jobs took."""
    timings = [_timing(job) for job in jobs]
    done = [timing for timing in timings if timing.state == "done"]
    return TimingsView(
        jobs=timings,
        median_waited=statistics.median(timing.waited for timing in done) if done else None,
        median_took=statistics.median(timing.took for timing in done) if done else None,
    )


def _timing(job: Job) -> TimingView:
    started = job.started if job.started is not None else job.ended
    return TimingView(
        number=job.number,
        job=job.id,
        graph=job.graph,
        state=job.state,
        waited=_seconds(job.accepted, started),
        took=_seconds(job.started, job.ended),
        cold=round(job.cold, 4),
        ran=job.ran,
        cached=job.cached,
    )


def _seconds(since: float | None, until: float | None) -> float:
    return round(max(0.0, until - since), 4) if since is not None and until is not None else 0.0


def _table(timings: TimingsView) -> str:
    head = (
        f"{'number':>7}  {'job':<24}  {'graph':<16}  {'state':<9}  {'waited':>8}  {'took':>8}  {'cold':>8}  ran  cached"
    )
    rows = [
        f"{row.number:>7}  {row.job:<24}  {row.graph[:16]:<16}  {row.state:<9}  {row.waited:>8.3f}  {row.took:>8.3f}"
        f"  {row.cold:>8.3f}  {row.ran:>3}  {row.cached:>6}"
        for row in timings.jobs
    ]
    foot = "No job is done yet."
    if timings.median_took is not None and timings.median_waited is not None:
        foot = f"Median of jobs that are done: waited {timings.median_waited:.3f} s, took {timings.median_took:.3f} s."
    return "\n".join([head, *rows, "", foot, ""])
