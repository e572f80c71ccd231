"""`/v1/check` and `/v1/plan`: a graph looked at, not run."""

from fastapi import APIRouter, Request, Response

from nova_graph.http.bodies import Submission, body_schema, read_submission
from nova_graph.http.problems import documented, placed_views
from nova_graph.http.shared import Owner, Parts
from nova_graph.http.views import CheckView, PlanView, answer, plan_view

router = APIRouter(tags=["graphs"])


@router.post(
    "/v1/check",
    response_model=CheckView,
    openapi_extra=body_schema("Submission"),
    responses=documented(404, 413, 415, 422),
)
async def check(request: Request, owner: Owner, parts: Parts) -> Response:
    """Check a graph; every mistake is told at once, in YAML with its place."""
    submission = await read_submission(request, owner, parts, Submission)
    nodes, warnings = await parts.desk.do(lambda: parts.desk.check(owner, submission.given))
    return answer(CheckView(nodes=nodes, warnings=placed_views(warnings)))


@router.post(
    "/v1/plan",
    response_model=PlanView,
    openapi_extra=body_schema("Submission"),
    responses=documented(404, 413, 415, 422),
)
async def plan(request: Request, owner: Owner, parts: Parts) -> Response:
    """Say which nodes would run, and which results are there already."""
    submission = await read_submission(request, owner, parts, Submission)
    ready = await parts.desk.plan(owner, submission.given)
    return answer(plan_view(ready.plan))
