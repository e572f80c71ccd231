"""What a graph may be given: the same for the command's `--help`, the body over HTTP, and a web form."""

from engine.bind import examine
from engine.graph import Graph
from engine.openers import Opener, refuse_includes
from engine.registry import Registry
from engine.values import Json
from engine.words import LITERAL_TYPES, RANDOM, SEED_MAX, Words


def input_words(graph: Graph, registry: Registry, *, opener: Opener = refuse_includes) -> dict[str, Words]:
    """Return each input's declaration with the bounds of the ports it feeds, and its default where it has one.

    Inputs of port types are left out: only a graph that includes this one can give them. Raises GraphErrors.
    """
    _, checked = examine(graph, registry, opener)
    found: dict[str, Words] = {}
    for name, declared in graph.inputs.items():
        if set(declared.types) <= set(LITERAL_TYPES):
            words = dict(checked.words["", name])
            if declared.has_default:
                words["default"] = declared.default
            found[name] = words
    return found


def input_schema(graph: Graph, registry: Registry, *, opener: Opener = refuse_includes) -> dict[str, Json]:
    """Return the JSON Schema (draft 2020-12) of the values a graph may be given; raises GraphErrors."""
    inputs = input_words(graph, registry, opener=opener)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": graph.description or graph.file,
        "type": "object",
        "properties": {name: _property(words) for name, words in inputs.items()},
        "required": [name for name, words in inputs.items() if "default" not in words],
        "additionalProperties": False,
    }


def _property(words: Words) -> Json:
    if words["type"] != "seed":
        return words
    bounds = {"minimum": 0, "maximum": SEED_MAX}
    number: Words = {**bounds, **{key: value for key, value in words.items() if key not in ("description", "default")}}
    rest = {key: value for key, value in words.items() if key in ("description", "default")}
    return {**rest, "format": "seed", "anyOf": [{**number, "type": "integer"}, {"const": RANDOM}]}
