"""What flows along the edges of a graph: small frozen values."""

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pathlib import Path

    from engine.environment import Environment

Live_co = TypeVar("Live_co", covariant=True)


class Value:
    """Base of every port type that is not a plain literal.

    Subclasses are frozen dataclasses whose fields hold only None, bool, int, float, str, bytes, tuples of these, and
    other values; so a value can be hashed, stored without pickle, and handed out twice without being changed.
    A port accepts instances only: no dict from a client is ever taken for a value.
    """

    __slots__: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> core_schema.CoreSchema:
        """Accept instances of exactly this family, coerce nothing."""
        return core_schema.is_instance_schema(cls)


class Loading(Protocol):
    """What a handle may use while it loads its live object."""

    @property
    def environment(self) -> "Environment":
        """Device and dtype to load for."""
        ...

    def path(self, sha256: str) -> "Path":
        """Return the file with this content; raises AssetMissing, and AssetRefused where it was changed."""
        ...

    def check(self, sha256: str) -> None:
        """Do nothing where the file with this content is still what it was; else raise AssetMissing, AssetRefused."""
        ...

    def warn(self, text: str) -> None:
        """Tell the user something that does not stop the run."""
        ...


class Handle(Value, Generic[Live_co]):
    """A recipe for a live object: which weights, which options; never the object itself.

    The pool calls `load` at the first use and keeps the result, keyed by the handle, across runs.
    """

    __slots__ = ()

    def load(self, loading: Loading) -> Live_co:
        """Load the live object; heavy imports belong in here."""
        raise NotImplementedError


def nbytes(value: object) -> int:
    """Return about how many bytes a value holds in memory."""
    if isinstance(value, bytes | str):
        return 64 + len(value)
    if isinstance(value, tuple):
        return 64 + sum(map(nbytes, value))
    if is_dataclass(value):
        return 64 + sum(nbytes(getattr(value, field.name)) for field in fields(value))
    return 32


Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""A JSON tree."""

AnyHandle = Handle[Any]
