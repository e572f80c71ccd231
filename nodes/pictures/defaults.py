"""What inputs are when a graph leaves them out."""

from engine.values import Json


def known_defaults() -> dict[str, dict[str, Json]]:
    """Return the plain default values of the built-in node types, by type and input."""
    from nodes.library import built_in

    return {
        name: {
            port.name: port.default
            for port in declaration.inputs.values()
            if isinstance(port.default, bool | int | float | str)
        }
        for name, declaration in built_in().items()
    }
