"""What the engine knows about a node type: its ports, read once from the class."""

import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from typing import Literal as OneOf

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from engine.aliases import Aliases
from engine.assets import AssetPort
from engine.errors import RegistryError
from engine.node import Node, Output
from engine.scalars import SCALARS
from engine.values import Value


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the annotation alone."""
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def item_of(annotation: Any) -> Any | None:
    """Return X of `tuple[X, ...]`, else None."""
    if get_origin(annotation) is tuple:
        arguments = get_args(annotation)
        if arguments[1:] == (Ellipsis,):
            return arguments[0]
    return None


def is_value_type(annotation: Any) -> bool:
    """Tell whether an annotation is a port type that cannot be written as a literal."""
    return isinstance(annotation, type) and issubclass(annotation, Value)


def type_name(annotation: Any) -> str:
    """Return an annotation as people write it: `Image`, `integer or null`, `list of Image`."""
    plain = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
    if annotation in plain:
        return plain[annotation]
    item = item_of(annotation)
    if item is not None:
        return f"list of {type_name(item)}"
    options = members(annotation)
    if len(options) > 1:
        return " or ".join(map(type_name, options))
    if hasattr(annotation, "__metadata__"):
        return type_name(get_args(annotation)[0])
    return getattr(annotation, "__name__", str(annotation).replace("typing.", ""))


@dataclass(frozen=True)
class InputPort:
    """An input of a node type."""

    name: str
    field: FieldInfo

    @cached_property
    def annotation(self) -> Any:
        """The declared type without its bounds."""
        return self.field.annotation

    @cached_property
    def required(self) -> bool:
        """Whether the port must be connected or given."""
        return self.field.is_required()

    @cached_property
    def default(self) -> Any:
        """The value when it is left out."""
        return None if self.required else self.field.get_default(call_default_factory=True)

    @cached_property
    def description(self) -> str:
        """What the port is for."""
        return self.field.description or ""

    @cached_property
    def asset(self) -> AssetPort | None:
        """The asset marker, if the text of this port names something outside the graph."""
        return next((mark for mark in self.field.metadata if isinstance(mark, AssetPort)), None)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What other programs call the choices of this port, and what that is here."""
        marks = (mark for mark in self.field.metadata if isinstance(mark, Aliases))
        return dict(next((mark.names for mark in marks), ()))

    @cached_property
    def item(self) -> Any | None:
        """X where the port takes `tuple[X, ...]`."""
        return next((item for option in members(self.annotation) if (item := item_of(option)) is not None), None)

    @cached_property
    def takes_literals(self) -> bool:
        """Whether a literal can be written here."""
        return any(
            not is_value_type(option) and option is not type(None) for option in members(self.annotation)
        ) and not (self.item is not None and is_value_type(self.item))

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Validates one literal for this port, strictly."""
        return TypeAdapter(self.field.rebuild_annotation(), config={"strict": True, "allow_inf_nan": False})

    def accepts(self, output: Any) -> bool:
        """Tell whether an output of that type fits: the same type, one of the union, or integer to number."""
        options = members(self.annotation)
        return all(
            part in options or part == self.annotation or (part is int and float in options) for part in members(output)
        )


@dataclass(frozen=True, slots=True)
class OutputPort:
    """An output of a node type."""

    name: str
    annotation: Any
    description: str


@dataclass(frozen=True)
class Declaration:
    """A node type: its class, its name, and its ports by name."""

    cls: type[Node[Any]]
    name: str
    home: str
    """Tells types of one name apart in keys."""
    summary: str
    doc: str
    version: int
    device: bool
    stored: bool
    inputs: dict[str, InputPort]
    outputs: dict[str, OutputPort]
    output_class: type[Output]

    @cached_property
    def ordered_inputs(self) -> tuple[tuple[str, InputPort], ...]:
        """The inputs by name, in the order in which keys are made."""
        return tuple(sorted(self.inputs.items()))

    @cached_property
    def asset_inputs(self) -> tuple[tuple[str, InputPort], ...]:
        """The inputs whose text names an asset."""
        return tuple((name, port) for name, port in self.ordered_inputs if port.asset is not None)


def declare(cls: type[Node[Any]], home: str = "") -> Declaration:
    """Read a node class; raises RegistryError where the declaration breaks a rule.

    `home` stands before its name in keys; by default the module that declares it.
    """
    name = cls.__name__
    doc = inspect.cleandoc(cls.__doc__ or "")
    if not doc or doc == inspect.cleandoc(Node.__doc__ or ""):
        raise RegistryError(f"node {name} has no docstring", hint="Say in one sentence what it does.")
    output_class = _output_class(cls)
    for port, annotation in [*_annotations(cls), *_annotations(output_class)]:
        _check_annotation(name, port, annotation)
    return Declaration(
        cls=cls,
        name=name,
        home=home or cls.__module__,
        summary=doc.splitlines()[0],
        doc=doc,
        version=cls.version,
        device=cls.device,
        stored=cls.stored,
        inputs={port: InputPort(port, field) for port, field in cls.model_fields.items()},
        outputs={
            port: OutputPort(port, field.annotation, field.description or "")
            for port, field in output_class.model_fields.items()
        },
        output_class=output_class,
    )


def _annotations(cls: type[Any]) -> list[tuple[str, Any]]:
    return [(name, field.annotation) for name, field in cls.model_fields.items()]


def _output_class(cls: type[Node[Any]]) -> type[Output]:
    for base in cls.__mro__:
        arguments = getattr(base, "__pydantic_generic_metadata__", {}).get("args", ())
        if arguments and isinstance(arguments[0], type) and issubclass(arguments[0], Output):
            return arguments[0]
    raise RegistryError(f"node {cls.__name__} does not say what it returns", hint="Write `class X(Node[XOutput])`.")


def _check_annotation(node: str, port: str, annotation: Any) -> None:
    if annotation is Any or annotation is object:
        raise RegistryError(f"port {node}.{port} is declared Any", hint="Give it a type: it catches mistakes early.")
    _check_type(f"port {node}.{port}", annotation)


def _check_type(place: str, annotation: Any) -> None:
    """Refuse types whose values could be changed by whoever gets them from the cache."""
    for part in members(annotation):
        if get_origin(part) is tuple:
            for item in get_args(part):
                if item is not Ellipsis:
                    _check_type(place, item)
        elif get_origin(part) is Annotated:
            _check_type(place, get_args(part)[0])
        elif is_value_type(part):
            _check_frozen(place, part)
        elif part not in SCALARS and get_origin(part) is not OneOf:
            raise RegistryError(
                f"{place} has type {type_name(part)}, whose values cannot be kept and handed out again",
                hint="Use int, float, bool, str, bytes, Literal, engine.Value types, and tuples and unions of these.",
            )


def _check_frozen(place: str, cls: Any, within: tuple[Any, ...] = ()) -> None:
    """Refuse a class of values that can be changed, be it by a field that can, or by one of another such class."""
    if cls in within:
        return
    if not _is_frozen(cls):
        raise RegistryError(
            f"{place} has type {type_name(cls)}, which is not a frozen dataclass",
            hint="Values are handed out many times: declare it with @dataclass(frozen=True).",
        )
    for name, annotation in _field_types(cls).items():
        for part in _parts(annotation):
            if part in _CHANGEABLE:
                raise RegistryError(
                    f"{place} has type {type_name(cls)}, whose field {name} can be changed: it is a {type_name(part)}",
                    hint="Values are handed out many times: use a tuple, bytes, or another Value.",
                )
            if is_value_type(part):
                _check_frozen(place, part, (*within, cls))


_CHANGEABLE = (list, dict, set, bytearray)


def _field_types(cls: type[Any]) -> dict[str, Any]:
    """Return what the fields hold, as far as it can be told from the module of the class alone."""
    written = {member.name: member.type for member in fields(cls)}
    if not any(isinstance(annotation, str) for annotation in written.values()):
        return written  # looking names up takes fifty times as long as all else that is done here
    try:
        hints = get_type_hints(cls)
    except (NameError, TypeError):
        return {}
    return {name: hints[name] for name in written}


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield every class that a type is put together from: `tuple`, `list` and `int` of `tuple[list[int], ...]`."""
    yield get_origin(annotation) or annotation
    for argument in get_args(annotation):
        if isinstance(argument, type) or get_origin(argument) is not None:
            yield from _parts(argument)


def _is_frozen(cls: type[Any]) -> bool:
    return is_dataclass(cls) and bool(cls.__dataclass_params__.frozen)  # type: ignore[attr-defined]
