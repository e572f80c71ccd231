"""Bodies of requests: bounded while they come in, and read without keeping others waiting."""

import hashlib
import json
from typing import Annotated, Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import ClientDisconnect

from engine.values import Json
from nova_graph.http.desk import Desk, Given
from nova_graph.http.kinds import INPUT
from nova_graph.http.limits import Take
from nova_graph.http.problems import PlacedView, Trouble, trouble_of_validation
from nova_graph.http.shared import Shared

JSON: Final = "application/json"
YAML: Final = "application/yaml"

_SHORT: Final = 32 << 10
"""Bodies up to this many bytes are read at once; a thread would take longer."""


class Submission(BaseModel):
    """A graph: the name of one in the library, a whole one as JSON, or a whole one as YAML text; and its inputs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    graph: Annotated[str, Field(min_length=1)] | dict[str, Any] | None = Field(
        None, description="A name from `/v1/graphs`, or a whole graph.", examples=["default"]
    )
    yaml: str | None = Field(None, description="A whole graph as YAML, instead of `graph`; mistakes get their places.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="Values for the graph's inputs.")

    @model_validator(mode="after")
    def _is_one_graph(self) -> "Submission":
        if (self.graph is None) == (self.yaml is None):
            raise ValueError("give either `graph` or `yaml`")
        return self

    @property
    def given(self) -> Given:
        """The graph for the desk."""
        inputs: dict[str, Json] = self.inputs
        if isinstance(self.graph, str):
            return Given(name=self.graph, inputs=inputs)
        return Given(tree=self.graph if self.graph is not None else self.yaml or "", inputs=inputs)


class JobSubmission(Submission):
    """A graph to run."""

    webhook_url: str | None = Field(None, description="Called once the job is over.", max_length=2000)

    def digest(self) -> str:
        """Return the sha256 of all that is asked for; the order of keys does not count."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


Model = TypeVar("Model", bound=Submission)


async def read_bytes(request: Request, limit: int, take: Take) -> bytes:
    """Read a body; raises Trouble as soon as it is too long, whatever its length was said to be.

    `take` is told of each piece before it is kept; see `Limits.body`.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > limit:
        raise _too_long(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise _too_long(limit)
            take(len(part))
            parts.append(part)
    except ClientDisconnect:
        raise Trouble(400, "The body ended early.") from None
    return b"".join(parts)


def media_type(request: Request) -> str:
    """Return the media type of a body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_submission(request: Request, owner: str, parts: Shared, model: type[Model]) -> Model:
    """Read a submission, from JSON or from plain YAML; raises Trouble."""
    kind = media_type(request)
    if kind not in (JSON, YAML):
        raise wrong_media_type(JSON, YAML)
    with parts.limits.body(owner) as take:
        data = await read_bytes(request, parts.settings.body, take)
        return model(yaml=_text(data)) if kind == YAML else await parse_json(data, model, parts.desk)


Any_ = TypeVar("Any_", bound=BaseModel)


async def parse_json(data: bytes, model: type[Any_], desk: Desk) -> Any_:
    """Read JSON into a model; raises Trouble."""

    def parse() -> Any_:
        try:
            read = model.model_validate_json(data)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False, include_input=False)
            if errors[0]["type"] == "json_invalid":
                wrong = PlacedView(message=errors[0]["msg"])
                raise Trouble(400, "The body is not JSON.", kind=INPUT, problems=[wrong]) from None
            raise trouble_of_validation(errors) from None
        json.loads(data, object_pairs_hook=_check_once, parse_int=str, parse_float=str)
        return read

    return parse() if len(data) <= _SHORT else await desk.do(parse)


def _check_once(pairs: list[tuple[str, object]]) -> None:
    """Refuse a JSON object that has a key twice, as graph files are refused for it: the last would win unseen."""
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        wrong = PlacedView(message=f"the key {json.dumps(twice[:80])} stands in an object twice")
        raise Trouble(422, "The request is not as it must be.", kind=INPUT, problems=[wrong])


def wrong_media_type(*known: str) -> Trouble:
    """Return the trouble of a body of another type."""
    return Trouble(415, f"The body must be {' or '.join(known)}, and Content-Type must say so.", kind=INPUT)


def body_schema(model: str) -> dict[str, Any]:
    """Return the OpenAPI description of a body that holds a submission."""
    content: dict[str, Any] = {
        JSON: {"schema": {"$ref": f"#/components/schemas/{model}"}},
        YAML: {"schema": {"type": "string", "description": "A graph file as it is."}},
    }
    return {"requestBody": {"required": True, "content": content}}


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Trouble(400, "The body is not UTF-8 text.", kind=INPUT) from None


def _too_long(limit: int) -> Trouble:
    return Trouble(413, f"The body is longer than {limit:,} bytes.", headers={"Connection": "close"})
