"""`/v1/jobs`: hand in a graph, see how it is doing, fetch its pictures, stop it."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field, TypeAdapter

from nodes.values import File
from nova_graph.http.bodies import JobSubmission, body_schema, read_submission
from nova_graph.http.handing import NO_CLAIM, Claim, hand_in, handed_in_before, waited
from nova_graph.http.kinds import JOB
from nova_graph.http.parameters import Parameter
from nova_graph.http.problems import Trouble, documented
from nova_graph.http.shared import Owner, Parts, Shared, parts_of
from nova_graph.http.views import Accepted, JobsView, JobView, PlanView, accepted_view, answer, job_view, plan_view
from nova_graph.service.backend import OVER, Job

router = APIRouter(tags=["jobs"])

JobId = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$", description="The job's id.")]

IDEMPOTENCY: Final = Parameter[str | None](
    "Idempotency-Key",
    "header",
    TypeAdapter(Annotated[str, Field(min_length=1, max_length=200, pattern="^[!-~]+$")]),
    None,
    "The same request with the same key is the same job, however often it is sent.",
)
WAIT: Final = Parameter(
    "wait",
    "query",
    TypeAdapter(Annotated[int, Field(ge=0, le=60)]),
    0,
    "Seconds to wait for the job to be over before the answer.",
)

PICTURES: Final = ("image/png", "image/jpeg", "image/webp")


@router.post(
    "/v1/jobs",
    status_code=202,
    response_class=Response,
    openapi_extra={**body_schema("JobSubmission"), "parameters": [IDEMPOTENCY.described(), WAIT.described()]},
    responses={202: {"model": Accepted, "description": "The job is kept."}, **documented(404, 413, 415, 422, 507)},
)
async def submit(request: Request, owner: Owner) -> Response:
    """Hand in a graph to be run; what was accepted is not lost, whatever happens to the service."""
    parts, wait, idempotency_key = parts_of(request), WAIT.read(request), IDEMPOTENCY.read(request)
    submission = await read_submission(request, owner, parts, JobSubmission)
    claim = NO_CLAIM
    if idempotency_key is not None:
        claim = Claim(idempotency_key, await parts.desk.do(submission.digest))
        earlier = await handed_in_before(parts, owner, claim)
        if earlier is not None:
            return _accepted(parts, await waited(parts, owner, earlier, wait), None)
    if submission.webhook_url is not None:
        parts.courier.check(owner, submission.webhook_url)
    ready = await parts.desk.plan(owner, submission.given)
    job = await hand_in(parts, owner, ready, wait=wait, claim=claim, webhook_url=submission.webhook_url or "")
    return _accepted(parts, job, plan_view(ready.plan))


@router.get("/v1/jobs", response_model=JobsView, responses=documented(422))
async def list_jobs(
    owner: Owner,
    parts: Parts,
    limit: Annotated[int, Query(ge=1, le=100, description="How many.")] = 20,
    before: Annotated[
        str | None, Query(pattern="^[A-Za-z0-9_-]{1,64}$", description="Only jobs accepted before this one.")
    ] = None,
) -> Response:
    """List your jobs, the newest first."""
    jobs = await parts.backend.jobs(owner, limit=limit, before=before)
    following = f"/v1/jobs?limit={limit}&before={jobs[-1].id}" if len(jobs) == limit else None
    return answer(JobsView(jobs=[job_view(job, parts.discretion) for job in jobs], next=following))


@router.get(
    "/v1/jobs/{job_id}",
    response_model=JobView,
    openapi_extra={"parameters": [WAIT.described()]},
    responses=documented(404, 422),
)
async def show_job(request: Request, owner: Owner, parts: Parts, job_id: JobId) -> Response:
    """Say how a job is doing."""
    wait = WAIT.read(request)
    job = await waited(parts, owner, await found_job(parts, owner, job_id), wait)
    return answer(job_view(job, parts.discretion))


@router.delete(
    "/v1/jobs/{job_id}",
    response_model=JobView,
    responses={202: {"model": JobView, "description": "It stops after this step."}, **documented(404, 422, 507)},
)
async def cancel_job(owner: Owner, parts: Parts, job_id: JobId) -> Response:
    """Stop a job that is queued or running; one that is over stays as it is (200)."""
    before = await found_job(parts, owner, job_id)
    job = await parts.backend.cancel(owner, job_id) or before
    return answer(job_view(job, parts.discretion), 200 if before.state in OVER else 202)


@router.get(
    "/v1/jobs/{job_id}/images/{index}",
    response_class=Response,
    responses={
        200: {
            "description": "The picture's file.",
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURES},
        },
        **documented(404, 409, 422),
    },
)
async def show_image(
    owner: Owner, parts: Parts, job_id: JobId, index: Annotated[int, Path(ge=0, le=100_000, description="From 0.")]
) -> Response:
    """Fetch one picture of a job that is done."""
    file = await parts.backend.picture(owner, job_id, index)
    if file is not None:
        return picture_response(file)
    job = await found_job(parts, owner, job_id)
    if job.state not in OVER:
        raise Trouble(409, "The job is not over yet.", kind=JOB, job=job.id, headers={"Retry-After": "1"})
    if index < job.pictures:
        raise Trouble(404, "The picture is not there any more, or damaged.", kind=JOB, job=job.id)
    raise Trouble(404, f"The job has {job.pictures} pictures; they count from 0.", kind=JOB, job=job.id)


def _accepted(parts: Shared, job: Job, plan: PlanView | None) -> Response:
    view = accepted_view(job, plan, parts.discretion)
    return answer(view, 202, {"Location": view.status_url})


async def found_job(parts: Shared, owner: str, job_id: str) -> Job:
    """Return a job of this owner; raises Trouble."""
    job = await parts.backend.job(owner, job_id)
    if job is None:
        raise Trouble(404, "There is no such job.", kind=JOB)
    return job


def picture_response(file: File, headers: dict[str, str] | None = None) -> Response:
    """Return a picture as a response; what is no picture is never shown as a page."""
    kind = file.media_type if file.media_type in PICTURES else "application/octet-stream"
    fixed = {"Cache-Control": "private, max-age=3600", "Content-Disposition": "inline"}
    return Response(file.data, headers={**fixed, **(headers or {})}, media_type=kind)
