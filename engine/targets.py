"""What a wire leads to: a port of a node, an input of an included graph, or the stand-in output of a skipped node."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Union

from pydantic.fields import FieldInfo

from engine.declaration import Declaration, InputPort, is_value_type
from engine.graph import Graph
from engine.narrow import input_options, port_options
from engine.registry import Registry
from engine.values import Value
from engine.words import LITERAL_TYPES, Words, types_of

_PLAIN: dict[str, type | None] = {
    "integer": int,
    "seed": int,
    "number": float,
    "string": str,
    "boolean": bool,
    "null": None,
}

InputKey = tuple[str, str]
"""The prefix of a scope and the name of an input in it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a wire ends: its name for messages and its type as a port.

    For an input of an included graph, `words` is its declaration (None for port types) and `inner_graph` is that graph.
    """

    name: str
    port: InputPort
    words: Words | None = None
    inner_graph: Graph | None = None


class Types:
    """The port types that a registry knows, by name, and ports made from them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._values: dict[str, type[Value]] | None = None
        self._items: dict[int, tuple[InputPort, InputPort]] = {}
        self._outputs: dict[tuple[str, str], InputPort] = {}
        self._options: dict[int, tuple[InputPort, tuple[Words, ...]]] = {}

    @property
    def values(self) -> dict[str, type[Value]]:
        """Every port type that is used in the registry."""
        if self._values is None:
            self._values = {cls.__name__: cls for cls in _value_types(self._registry.values())}
        return self._values

    def unknown(self, words: Words) -> list[str]:
        """Return the names of types that do not exist."""
        return [name for name in types_of(words) if name not in LITERAL_TYPES and name not in self.values]

    def annotation(self, words: Words) -> Any:
        """Return the Python type of a declared input."""
        return Union[tuple(self._single(name, words) for name in types_of(words))]  # noqa: UP007

    def _single(self, name: str, words: Words) -> Any:
        if name == "array":
            items = words.get("items")
            inner: Any = self.annotation(items) if isinstance(items, dict) else Union[str, bool, int, float, None]  # noqa: UP007
            return tuple[inner, ...]
        if name in _PLAIN:
            return _PLAIN[name]
        return self.values.get(name, Value)

    def item(self, port: InputPort) -> InputPort:
        """Return the port that an item of a list port amounts to."""
        key = id(port)
        if key not in self._items:
            self._items[key] = (port, as_port(port.name, port.item))
        return self._items[key][1]

    def output(self, declaration: Declaration, name: str) -> InputPort:
        """Return the port that takes what an output gives."""
        key = (declaration.name, name)
        if key not in self._outputs:
            self._outputs[key] = as_port(name, declaration.outputs[name].annotation)
        return self._outputs[key]

    def options(self, target: Target) -> tuple[Words, ...]:
        """Return which literals may stand at a target, one set of words for each type."""
        if target.words is not None:
            return input_options(target.words)
        if not target.port.takes_literals:
            return ()
        key = id(target.port)
        if key not in self._options:
            self._options[key] = (target.port, port_options(target.port))
        return self._options[key][1]


def as_port(name: str, annotation: Any) -> InputPort:
    """Return a port of a type, without bounds."""
    return InputPort(name, FieldInfo.from_annotation(annotation))


def _value_types(declarations: Iterable[Declaration]) -> list[type[Value]]:
    seen: dict[type[Value], None] = {}
    for declaration in declarations:
        for port in declaration.inputs.values():
            _collect(port.annotation, seen)
        for output in declaration.outputs.values():
            _collect(output.annotation, seen)
    return list(seen)


def _collect(annotation: Any, seen: dict[type[Value], None]) -> None:
    if is_value_type(annotation):
        seen[annotation] = None
    for part in getattr(annotation, "__args__", ()):
        _collect(part, seen)
