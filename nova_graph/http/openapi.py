"""The description of the API, with those parts that are read by hand and so are unknown to the framework."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from nova_graph.http.bodies import JobSubmission, Submission
from nova_graph.http.predict import fields_schema
from nova_graph.http.problems import ProblemView
from nova_graph.http.reports import TimingsView
from nova_graph.http.views import PredictionView

_READ_BY_HAND = (Submission, JobSubmission)
_WRITTEN_BY_HAND = (ProblemView, PredictionView, TimingsView)
_REF = "#/components/schemas/{model}"


def describe(app: FastAPI, default_inputs: dict[str, Any], *, with_keys: bool) -> None:
    """Give an application its description; `default_inputs` is the schema of the default graph's inputs.

    That keys are needed is said `with_keys` only.
    """
    known: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not known:
            known.update(_description(app, default_inputs))
            if not with_keys:
                _open_to_all(known)
        return known

    app.openapi = openapi  # type: ignore[method-assign]


def _description(app: FastAPI, default_inputs: dict[str, Any]) -> dict[str, Any]:
    tree = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    read = models_json_schema([(model, "validation") for model in _READ_BY_HAND], ref_template=_REF)[1]
    written = models_json_schema([(model, "serialization") for model in _WRITTEN_BY_HAND], ref_template=_REF)[1]
    schemas = tree.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(read["$defs"])
    schemas.update(written["$defs"])
    schemas["Prediction"] = fields_schema(default_inputs)
    for name in ("Submission", "JobSubmission"):
        schemas[name]["oneOf"] = [
            {"required": ["graph"], "properties": {"graph": {"type": ["string", "object"]}, "yaml": {"type": "null"}}},
            {"required": ["yaml"], "properties": {"yaml": {"type": "string"}, "graph": {"type": "null"}}},
        ]
    return tree


def _open_to_all(tree: dict[str, Any]) -> None:
    """Take out that keys are needed."""
    del tree["components"]["securitySchemes"]
    for methods in tree["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
