"""Errors as problem JSON (RFC 9457): what is wrong, where, and what to do; never a traceback, never a path of ours."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from engine.errors import AssetError, GraphErrors, NovaError, Problem
from nova_graph.http.kinds import ASSET, GRAPH, INPUT, LIMIT, PLAIN
from nova_graph.http.privacy import Discretion
from nova_graph.service.backend import QueueFull, StoreFull

MEDIA_TYPE: Final = "application/problem+json"

METHOD_NOT_ALLOWED: Final = 405
LONGEST: Final = 1000
"""Characters of a message."""


class PlacedView(BaseModel):
    """One thing wrong, and where it is written; lines and columns count from 1."""

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    length: int | None = None
    text: str | None = Field(None, description="The whole line.")


class ProblemView(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="`about:blank`, or which kind of problem it is.")
    title: str
    status: int
    detail: str
    hint: str | None = Field(None, description="What to do.")
    problems: list[PlacedView] | None = Field(None, description="Each mistake in a graph or a request.")
    job: str | None = Field(None, description="The job that it is about.")


class Trouble(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = PLAIN,
        hint: str = "",
        problems: Iterable[PlacedView] = (),
        job: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.hint = hint
        self.problems = tuple(problems)
        self.job = job
        self.headers = headers


def too_many(detail: str, retry_after: float, *, close: bool = False) -> Trouble:
    """Return the trouble of somebody who asks for too much at a time; `close` the connection where more would come."""
    headers = {"Retry-After": str(max(1, round(retry_after)))}
    return Trouble(429, detail, kind=LIMIT, headers={**headers, "Connection": "close"} if close else headers)


def render(trouble: Trouble) -> Response:
    """Return the answer to a request in trouble."""
    view = ProblemView(
        type=trouble.kind,
        title=HTTPStatus(trouble.status).phrase,
        status=trouble.status,
        detail=trouble.detail,
        hint=trouble.hint or None,
        problems=list(trouble.problems) or None,
        job=trouble.job or None,
    )
    body = view.model_dump_json(exclude_none=True)
    return Response(body, trouble.status, headers=dict(trouble.headers or {}), media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI descriptions of problems; those that every request can meet are among them."""
    always = (400, 401, 403, 421, 429, 431, 503)
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemView"}}},
        }
        for status in sorted({*always, *statuses})
    }


def placed_views(problems: Iterable[Problem]) -> list[PlacedView]:
    """Return the problems of a graph with their places."""
    views = []
    for problem in problems:
        span = problem.span
        message = shortened(problem.message)
        if span is None:
            views.append(PlacedView(message=message))
        else:
            views.append(
                PlacedView(
                    message=message,
                    file=span.file,
                    line=span.line,
                    column=span.column,
                    length=span.length,
                    text=span.text,
                )
            )
    return views


def shortened(text: str) -> str:
    """Return a text that is not too long for an answer."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def trouble_of(error: NovaError) -> Trouble:
    """Return what to answer to a mistake in a graph."""
    if isinstance(error, GraphErrors):
        count = len(error.problems)
        detail = f"The graph has {'a mistake' if count == 1 else f'{count} mistakes'}; nothing was run."
        return Trouble(422, detail, kind=GRAPH, problems=placed_views(error.problems))
    kind = ASSET if isinstance(error, AssetError) else GRAPH
    return Trouble(422, shortened(error.message), kind=kind, hint=error.hint)


def trouble_of_validation(errors: Sequence[Mapping[str, Any]]) -> Trouble:
    """Return what to answer to a request whose parts have the wrong shape."""
    views = [PlacedView(message=shortened(f"{_place(error.get('loc', ()))}{error.get('msg', '')}")) for error in errors]
    different = {view.message: view for view in views}
    return Trouble(422, "The request is not as it must be.", kind=INPUT, problems=list(different.values())[:100])


def install(app: FastAPI, discretion: Discretion) -> None:
    """Let an application answer every error as a problem."""

    def answer(trouble: Trouble) -> Response:
        return render(discretion.veil(trouble))

    async def on_trouble(request: Request, error: Exception) -> Response:
        trouble = _trouble_of_any(error)
        if trouble.status == METHOD_NOT_ALLOWED:
            trouble.headers = {"Allow": ", ".join(sorted(_allowed_methods(request)))}
        return answer(trouble)

    for kind in (Trouble, QueueFull, StoreFull, NovaError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, on_trouble)


def _trouble_of_any(error: Exception) -> Trouble:
    match error:
        case Trouble():
            trouble = error
        case QueueFull():
            trouble = too_many(f"{error}.", error.retry_after)
        case StoreFull():
            trouble = Trouble(507, f"Nothing can be kept now: {error}.")
        case NovaError():
            trouble = trouble_of(error)
        case RequestValidationError():
            trouble = trouble_of_validation(error.errors())
        case HTTPException():
            trouble = _trouble_of_http(error)
        case _:
            trouble = Trouble(500, "The service failed to answer this; the operator's log says why.")
    return trouble


def _allowed_methods(request: Request) -> set[str]:
    """Return what can be done at a path, over all the routes that lead there."""
    methods: set[str] = set()
    for method in ("GET", "POST", "DELETE"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            methods.add(method)
    return methods


_ADDRESSES = "A picture comes from POST /predict; GET /openapi.json lists every address."


def _trouble_of_http(error: HTTPException) -> Trouble:
    told = {404: "There is nothing here.", 405: "This cannot be done here."}
    detail = told.get(error.status_code, str(error.detail))
    hint = _ADDRESSES if error.status_code == HTTPStatus.NOT_FOUND else ""
    return Trouble(error.status_code, detail, hint=hint, headers=error.headers)


def _place(location: Sequence[object]) -> str:
    parts = ".".join(str(part)[:80] for part in location if part != "body")
    return f"{parts}: " if parts else ""
