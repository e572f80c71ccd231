"""Node types as people read them, made from their declarations."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic.errors import PydanticInvalidForJsonSchema

from engine.declaration import Declaration, InputPort, type_name
from engine.problems import shown
from engine.registry import Registry
from engine.values import Json
from nova_graph.cli.bounds import bounds_text


@dataclass(frozen=True, slots=True)
class PortHelp:
    """One port in words; `default` is "required" where there is none, `choices` is empty where they are not listed."""

    name: str
    type: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


def node_rows(registry: Registry) -> list[tuple[str, str]]:
    """Return (type, one sentence) of every node type, by name."""
    return [(name, registry[name].summary) for name in sorted(registry)]


def input_help(declaration: Declaration) -> list[PortHelp]:
    """Return the inputs of a node type, in the order of the declaration."""
    return [
        PortHelp(
            port.name,
            type_name(port.annotation),
            _default(port),
            " ".join((*_said(port), *_limits(port))),
            _choices(port),
        )
        for port in declaration.inputs.values()
    ]


def output_help(declaration: Declaration) -> list[PortHelp]:
    """Return the outputs of a node type."""
    return [
        PortHelp(port.name, type_name(port.annotation), "", port.description) for port in declaration.outputs.values()
    ]


def flowing(doc: str) -> str:
    """Return a text with each paragraph on one line, for a terminal to break where it ends."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in doc.split("\n\n"))


def markdown(registry: Registry) -> str:
    """Return the reference of all node types, as in docs/nodes.md."""
    parts = [
        "# Nodes",
        "",
        "Made from the declarations by `nova-graph nodes --markdown`; do not edit by hand.",
        "",
        *(f"- [{name}](#{name.lower()}): {summary}" for name, summary in node_rows(registry)),
    ]
    for name in sorted(registry):
        parts += ["", *_section(registry[name])]
    return "\n".join(parts) + "\n"


def _section(declaration: Declaration) -> Iterator[str]:
    yield f"## {declaration.name}"
    yield ""
    yield declaration.doc
    yield ""
    facts = ["computes on the device" if declaration.device else "needs no device", f"version {declaration.version}"]
    yield f"*{', '.join(facts)}*"
    yield ""
    yield "| input | type | default | |"
    yield "|---|---|---|---|"
    for port in input_help(declaration):
        kind = ", ".join(port.choices) or port.type
        yield f"| `{port.name}` | {_cell(kind)} | {_cell(port.default)} | {_cell(port.description)} |"
    yield ""
    yield "| output | type | |"
    yield "|---|---|---|"
    for port in output_help(declaration):
        yield f"| `{port.name}` | {_cell(port.type)} | {_cell(port.description)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _said(port: InputPort) -> Iterator[str]:
    if port.description:
        yield port.description if port.description.endswith((".", "!", "?")) else f"{port.description}."


def _default(port: InputPort) -> str:
    if port.required:
        return "required"
    return "empty" if port.default is None else shown(port.default)


def _choices(port: InputPort) -> tuple[str, ...]:
    choices = _words(port).get("enum")
    return tuple(map(shown, choices)) if isinstance(choices, list) else ()


def _limits(port: InputPort) -> Iterator[str]:
    text = bounds_text(_words(port))
    if text:
        yield f"{text[0].upper()}{text[1:]}."


def _words(port: InputPort) -> dict[str, Json]:
    """Return the JSON Schema words of what can be written at a port, null aside."""
    if not port.takes_literals:
        return {}
    try:
        schema = port.adapter.json_schema()
    except PydanticInvalidForJsonSchema:
        return {}
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    return options[0] if len(options) == 1 else {}
