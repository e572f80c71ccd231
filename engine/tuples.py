"""JSON lists and the tuples that ports hold."""

from engine.values import Json


def as_tuples(value: Json) -> object:
    """Return a JSON value with tuples for lists."""
    if isinstance(value, list):
        return tuple(as_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: as_tuples(item) for key, item in value.items()}
    return value


def as_json(value: object) -> Json:
    """Return a literal with lists for tuples."""
    if isinstance(value, tuple | list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} is no literal")
