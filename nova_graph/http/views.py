"""What the service answers with: the shapes of its JSON."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field

from engine.plan import Plan, Status
from nova_graph.http.privacy import Discretion
from nova_graph.http.problems import PlacedView
from nova_graph.http.uploads import Upload
from nova_graph.service.backend import OVER, Job, State


class JobView(BaseModel):
    """A job as it stands."""

    id: str
    number: int = Field(description="The how-manieth job of this service it is.")
    graph: str = Field(description="The graph's name, or `custom`.")
    state: State
    inputs: dict[str, Any] = Field(description="The graph's inputs, with the seeds that were drawn.")
    accepted_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    position: int | None = Field(None, description="Jobs before it in the queue, while it is queued.")
    ran: int = Field(description="Nodes that were computed.")
    cached: int = Field(description="Nodes that did not have to be.")
    attempts: int = Field(description="How often a worker began it.")
    error: str | None = Field(None, description="Why it failed.")
    images: list[str] = Field(description="Where its pictures are, once it is done.")
    status_url: str
    events_url: str


class StepView(BaseModel):
    """One node of a plan."""

    node: str
    type: str
    status: Status = Field(description="`run`, or where its value is; `unneeded`: nothing that runs asks for it.")


class PlanView(BaseModel):
    """What would be computed."""

    nodes: int
    to_run: int
    cached: int
    steps: list[StepView]
    downloads: list[str] = Field(description="What must be downloaded first.")


class Accepted(JobView):
    """A job that was accepted, and what it will compute."""

    plan: PlanView | None = Field(None, description="None where the request had come before.")


class JobsView(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobView]
    next: str | None = Field(None, description="Where the older ones are.")


class CheckView(BaseModel):
    """A graph without mistakes."""

    nodes: int
    warnings: list[PlacedView]


class FileView(BaseModel):
    """A picture that was sent in; `name` is what a graph calls it."""

    name: str
    media_type: str
    size: int
    width: int | None = None
    height: int | None = None
    expires_at: datetime


class FilesView(BaseModel):
    """Pictures that were sent in, the newest first."""

    files: list[FileView]


class PictureView(BaseModel):
    """A picture as text."""

    data: str = Field(description="The file, as base64.")
    media_type: str
    width: int
    height: int
    seed: int | None


class PredictionView(BaseModel):
    """The pictures of one call of `/predict`."""

    job: str
    seed: int | None
    images: list[PictureView]


class GraphView(BaseModel):
    """A graph of the library."""

    name: str
    description: str
    inputs: list[str]
    schema_url: str


class GraphsView(BaseModel):
    """The graphs that are known by name."""

    graphs: list[GraphView]


class PortView(BaseModel):
    """An input or output of a node type."""

    name: str
    type: str
    description: str
    required: bool | None = None
    default: Any = None


class NodeView(BaseModel):
    """A node type."""

    type: str
    version: int
    summary: str
    inputs: list[PortView]
    outputs: list[PortView]


class NodesView(BaseModel):
    """The node types that graphs may use."""

    nodes: list[NodeView]


class HealthView(BaseModel):
    """That the service answers."""

    status: str
    version: str


class SecretView(BaseModel):
    """What to check webhooks with."""

    secret: str = Field(description="`whsec_` and base64, as in the Standard Webhooks specification.")


def answer(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a view as a response."""
    return Response(view.model_dump_json(), status, headers=headers, media_type="application/json")


def job_url(job: Job) -> str:
    """Return where a job is."""
    return f"/v1/jobs/{job.id}"


def job_view(job: Job, discretion: Discretion | None = None) -> JobView:
    """Return a job as its owner may see it."""
    return JobView(**_job_fields(job, discretion))


def accepted_view(job: Job, plan: PlanView | None, discretion: Discretion) -> Accepted:
    """Return a job that was accepted."""
    return Accepted(**_job_fields(job, discretion), plan=plan)


def plan_view(plan: Plan) -> PlanView:
    """Return a plan as JSON tells it."""
    return PlanView(
        nodes=len(plan.steps),
        to_run=len(plan.to_run),
        cached=len(plan.steps) - len(plan.to_run),
        steps=[StepView(node=step.id, type=step.type, status=step.status) for step in plan.steps],
        downloads=[pending.fetchable.how for pending in plan.pending],
    )


def file_view(upload: Upload, size: tuple[int, int] | None = None) -> FileView:
    """Return an upload; `size` is in pixels where it is known."""
    width, height = size or (None, None)
    return FileView(
        name=upload.name,
        media_type=upload.media_type,
        size=upload.size,
        width=width,
        height=height,
        expires_at=moment(upload.expires),
    )


def moment(seconds: float) -> datetime:
    """Return seconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def _job_fields(job: Job, discretion: Discretion | None) -> dict[str, Any]:
    here = job_url(job)
    error = job.error if discretion is None else discretion.text(job.error)
    shown = job.pictures if job.state == "done" else 0
    return {
        "id": job.id,
        "number": job.number,
        "graph": job.graph,
        "state": job.state,
        "inputs": dict(job.inputs),
        "accepted_at": moment(job.accepted),
        "started_at": moment(job.started) if job.started is not None else None,
        "ended_at": moment(job.ended) if job.ended is not None else None,
        "position": job.position if job.state not in OVER else None,
        "ran": job.ran,
        "cached": job.cached,
        "attempts": job.attempts,
        "error": error or None,
        "images": [f"{here}/images/{index}" for index in range(shown)],
        "status_url": here,
        "events_url": f"{here}/events",
    }
