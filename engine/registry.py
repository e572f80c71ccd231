"""The node types a graph may use: an explicit, frozen collection."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.declaration import Declaration, declare
from engine.errors import RegistryError
from engine.node import Node


class Registry(Mapping[str, Declaration]):
    """Node declarations by name; two classes of one name are an error."""

    def __init__(self, classes: Iterable[type[Node[Any]]], *, home: str = "") -> None:
        """Declare every class; raises RegistryError.

        `home` stands before their names in keys, so that modules can be moved; by default each class's own module.
        """
        self._declarations: dict[str, Declaration] = {}
        self._add(classes, home)

    def __getitem__(self, name: str) -> Declaration:
        """Return the declaration of a type; raises KeyError."""
        return self._declarations[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the type names."""
        return iter(self._declarations)

    def __len__(self) -> int:
        """Return how many types there are."""
        return len(self._declarations)

    def extended(self, classes: Iterable[type[Node[Any]]]) -> "Registry":
        """Return a registry with more node types."""
        registry = Registry([])
        registry._declarations.update(self._declarations)
        registry._add(classes, "")
        return registry

    def _add(self, classes: Iterable[type[Node[Any]]], home: str) -> None:
        for cls in classes:
            declaration = declare(cls, home)
            taken = self._declarations.get(declaration.name)
            if taken is not None:
                homes = f"{_home(taken.cls)} and {_home(cls)}"
                raise RegistryError(
                    f"two node types are called {declaration.name}: {homes}", hint="Rename one of them."
                )
            self._declarations[declaration.name] = declaration


def _home(cls: type[Any]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
