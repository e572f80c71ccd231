"""The JSON Schema of graph files, made from the node library, so that editors complete and check while one types."""

from contextlib import suppress
from typing import Final

from engine.aliases import ALIASES
from engine.declaration import Declaration, InputPort, is_value_type, item_of, members, type_name
from engine.inputs import WORDS
from engine.narrow import port_options
from engine.parse import FORMAT
from engine.registry import Registry
from engine.targets import Types, as_port
from engine.tuples import as_json
from engine.values import Json
from engine.wires import NAME, NODE_ID
from engine.words import LITERAL_TYPES, NUMERIC, SIZES, Words

_REFERENCE: Final[Words] = {"$ref": "#/$defs/reference"}
_NOT_A_REFERENCE: Final = r"^(\$\$|[^$]|$)"


def graph_schema(registry: Registry) -> dict[str, Json]:
    """Return the JSON Schema (draft 2020-12) of a graph file that uses these node types."""
    types = [*LITERAL_TYPES, *sorted(Types(registry).values)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nova-graph",
        "type": "object",
        "required": ["nova", "nodes", "outputs"],
        "additionalProperties": False,
        "properties": {
            "nova": {"const": FORMAT, "description": "The version of the format."},
            "description": {"type": "string", "description": "What this graph makes."},
            "inputs": _named(NAME.pattern, "input", "What a run may be given."),
            "nodes": {
                **_named(NODE_ID.pattern, "node", "What is computed."),
                "minProperties": 1,
                "not": {"required": ["inputs"]},
            },
            "outputs": {**_named(NAME.pattern, "reference", "What comes out."), "minProperties": 1},
        },
        "$defs": {
            "reference": {
                "type": "string",
                "pattern": rf"^\$({NODE_ID.pattern})\.({NAME.pattern})$",
                "description": "$node.port or $inputs.name",
            },
            "type": {"enum": list(types)},
            "input": _input(),
            "node": _node(registry),
            **{name: _inputs(declaration) for name, declaration in registry.items()},
        },
    }


def _named(pattern: str, definition: str, description: str) -> Words:
    return {
        "type": "object",
        "description": description,
        "propertyNames": {"pattern": f"^({pattern})$"},
        "additionalProperties": {"$ref": f"#/$defs/{definition}"},
    }


def _input() -> Words:
    words: Words = {
        "type": {
            "anyOf": [
                {"$ref": "#/$defs/type"},
                {"type": "array", "items": {"$ref": "#/$defs/type"}, "minItems": 1, "uniqueItems": True},
            ]
        },
        "default": {"description": "The value when none is given; for a seed, a number or `random`."},
        "description": {"type": "string"},
        "enum": {"type": "array", "minItems": 1},
        "items": {"type": "object", "required": ["type"]},
    }
    words.update({name: {"type": "number"} for name in NUMERIC})
    words["multipleOf"] = {"type": "number", "exclusiveMinimum": 0}
    words.update({name: {"type": "integer", "minimum": 0} for name in SIZES})
    return {
        "type": "object",
        "required": ["type"],
        "properties": {name: words[name] for name in WORDS},
        "additionalProperties": False,
    }


def _node(registry: Registry) -> Words:
    names: list[Json] = [{"const": name, "description": item.summary} for name, item in registry.items()]
    return {
        "type": "object",
        "properties": {
            "type": {"anyOf": names, "description": "A node type."},
            "graph": {"type": "string", "minLength": 1, "description": "Another graph file, included here."},
            "when": {"type": ["string", "boolean"], "description": "A condition on graph inputs."},
            "inputs": {"type": "object", "description": "What stands at each input port."},
            "else": {"type": "object", "description": "What the outputs are while the node is switched off."},
        },
        "additionalProperties": False,
        "oneOf": [{"required": ["type"]}, {"required": ["graph"]}],
        "dependentRequired": {"else": ["when"]},
        "allOf": [_typed(name, declaration) for name, declaration in registry.items()],
    }


def _typed(name: str, declaration: Declaration) -> Json:
    outputs: dict[str, Json] = {port: _stand_in(output.annotation) for port, output in declaration.outputs.items()}
    then: Words = {
        "properties": {
            "inputs": {"$ref": f"#/$defs/{name}"},
            "else": {"properties": outputs, "additionalProperties": False},
        }
    }
    if any(port.required for port in declaration.inputs.values()):
        then["required"] = ["inputs"]
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then}


def _inputs(declaration: Declaration) -> Json:
    return {
        "type": "object",
        "description": declaration.doc,
        "properties": {name: _port(port) for name, port in declaration.inputs.items()},
        "required": [name for name, port in declaration.inputs.items() if port.required],
        "additionalProperties": False,
    }


def _port(port: InputPort) -> Json:
    schema: Words = {"description": port.description or type_name(port.annotation)}
    if not port.required:
        with suppress(TypeError):  # a default that cannot be written has no place in a schema
            schema["default"] = as_json(port.default)
    choices = [*_literals(port)]
    if port.asset is None:
        choices.append(_REFERENCE)
    else:
        choices.append({"$ref": "#/$defs/reference", "pattern": r"^\$inputs\."})
    return {**schema, "anyOf": choices}


def _stand_in(annotation: object) -> Json:
    return {"anyOf": [*_literals(as_port("", annotation)), _REFERENCE]}


def _literals(port: InputPort) -> list[Json]:
    options: list[Json] = []
    for option in members(port.annotation):
        if option is type(None):
            options.append({"type": "null"})
        elif is_value_type(item_of(option)):
            options.append({"type": "array", "items": _REFERENCE})
    if port.takes_literals:
        options.extend(_literal(words) for words in port_options(port) if words.get("type") != "null")
    return options


def _literal(words: Words) -> Json:
    words = {word: value for word, value in words.items() if word != ALIASES}
    if words.get("type") == "string" and not {"pattern", "enum"} & set(words):
        return {**words, "pattern": _NOT_A_REFERENCE}
    items = words.get("items")
    if words.get("type") == "array" and isinstance(items, dict):
        return {**words, "items": {"anyOf": [_literal(items), _REFERENCE]}}
    return words
