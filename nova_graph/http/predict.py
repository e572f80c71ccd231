"""`/predict`: the default graph as one call, with the field names of old."""

import base64
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import RootModel

from engine.values import Json
from nodes.values import File
from nova_graph.http.bodies import JSON, media_type, parse_json, read_bytes, wrong_media_type
from nova_graph.http.desk import Given
from nova_graph.http.handing import hand_in
from nova_graph.http.jobs import PICTURES, picture_response
from nova_graph.http.kinds import INPUT, JOB
from nova_graph.http.library import DEFAULT
from nova_graph.http.problems import PlacedView, Trouble, documented
from nova_graph.http.shared import Owner, Parts, Shared
from nova_graph.http.views import JobView, PictureView, PredictionView, answer, job_url, job_view
from nova_graph.service.backend import OVER, Job

router = APIRouter(tags=["predict"])

ALIASES: Final = {
    "negative_prompt": "negative",
    "num_outputs": "count",
    "num_inference_steps": "steps",
    "guidance_scale": "cfg",
    "face_yolov9c": "face",
}
"""The field names of old, and what the graph calls them."""

HEADERS: Final[dict[str, Any]] = {
    "X-Inference-Seconds": {"description": "How long the worker was on it.", "schema": {"type": "number"}},
    "X-Cold-Start-Seconds": {"description": "How long a worker took to start for it.", "schema": {"type": "number"}},
    "X-Request-Number": {"description": "The how-manieth job it is.", "schema": {"type": "integer"}},
    "X-Seed": {"description": "The seed of the first picture.", "schema": {"type": "integer"}},
    "X-Job-Id": {"description": "The job's id.", "schema": {"type": "string"}},
    "X-Cache-Hits": {"description": "Nodes that did not have to run.", "schema": {"type": "integer"}},
}


class Fields(RootModel[dict[str, Any]]):
    """Inputs of the default graph by name, or by their names of old."""


@router.post(
    "/predict",
    response_class=Response,
    openapi_extra={
        "requestBody": {"required": True, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Prediction"}}}}
    },
    responses={
        200: {
            "description": "The picture; or several, or one that was asked for as JSON, as base64.",
            "headers": HEADERS,
            "content": {
                **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURES},
                JSON: {"schema": {"$ref": "#/components/schemas/PredictionView"}},
            },
        },
        202: {"model": JobView, "description": "It takes longer; look again at Location."},
        **documented(404, 409, 413, 415, 422, 502, 507),
    },
)
async def predict(request: Request, owner: Owner, parts: Parts) -> Response:
    """Draw pictures and wait for them, up to two minutes."""
    if media_type(request) != JSON:
        raise wrong_media_type(JSON)
    with parts.limits.body(owner) as take:
        data = await read_bytes(request, parts.settings.body, take)
        fields = (await parse_json(data, Fields, parts.desk)).root
    inputs = graph_inputs(fields, face=parts.settings.face)
    ready = await parts.desk.plan(owner, Given(name=DEFAULT, inputs=inputs))
    job = await hand_in(parts, owner, ready, wait=parts.settings.patience)
    if job.state not in OVER:
        return answer(job_view(job, parts.discretion), 202, {"Location": job_url(job), **_headers(job)})
    return await _result(parts, job, as_json=wants_json(request.headers.get("accept", "")))


def graph_inputs(fields: dict[str, Json], *, face: bool) -> dict[str, Json]:
    """Return the inputs of the default graph; raises Trouble where one is given twice."""
    inputs: dict[str, Json] = {}
    for name, value in fields.items():
        real = ALIASES.get(name, name)
        if real in inputs:
            wrong = PlacedView(message=f"{real} is given twice, once by its name of old")
            raise Trouble(422, "The request is not as it must be.", kind=INPUT, problems=[wrong])
        inputs[real] = value
    if not face:
        inputs.setdefault("face", False)
    return inputs


def fields_schema(inputs: dict[str, Json]) -> dict[str, Json]:
    """Return the schema of what `/predict` takes: that of the default graph's inputs, and the names of old."""
    properties = inputs.get("properties")
    known = properties if isinstance(properties, dict) else {}
    old: dict[str, Json] = {name: known[real] for name, real in ALIASES.items() if real in known}
    rest = {key: value for key, value in inputs.items() if key != "$schema"}
    once: list[Json] = [{"not": {"required": [name, ALIASES[name]]}} for name in old]
    return {**rest, "properties": {**known, **old}, "allOf": once}


def wants_json(accept: str) -> bool:
    """Tell whether a client asks for JSON and not for pictures."""
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return JSON in kinds and not any(kind.startswith("image/") for kind in kinds)


async def _result(parts: Shared, job: Job, *, as_json: bool) -> Response:
    if job.state == "cancelled":
        raise Trouble(409, "The job was cancelled.", kind=JOB, job=job.id, headers=_headers(job))
    if job.state == "failed":
        raise Trouble(502, job.error or "The job failed.", kind=JOB, job=job.id, headers=_headers(job))
    files = [await parts.backend.picture(job.owner, job.id, index) for index in range(job.pictures)]
    whole = [file for file in files if file is not None]
    if len(whole) < len(files) or not whole:
        raise Trouble(502, "The job's pictures are not there any more.", kind=JOB, job=job.id, headers=_headers(job))
    if len(whole) == 1 and not as_json:
        return picture_response(whole[0], _headers(job))
    view = PredictionView(job=job.id, seed=_seed(job), images=[_picture(file) for file in whole])
    return answer(view, headers=_headers(job))


def _picture(file: File) -> PictureView:
    data = base64.b64encode(file.data).decode()
    return PictureView(data=data, media_type=file.media_type, width=file.width, height=file.height, seed=file.seed)


def _seed(job: Job) -> int | None:
    seed = job.inputs.get("seed")
    return seed if isinstance(seed, int) else None


def _headers(job: Job) -> dict[str, str]:
    took = job.ended - job.started if job.started is not None and job.ended is not None else 0.0
    headers = {
        "X-Inference-Seconds": f"{max(0.0, took):.3f}",
        "X-Cold-Start-Seconds": f"{job.cold:.3f}",
        "X-Request-Number": str(job.number),
        "X-Job-Id": job.id,
        "X-Cache-Hits": str(job.cached),
    }
    seed = _seed(job)
    return headers if seed is None else {**headers, "X-Seed": str(seed)}
