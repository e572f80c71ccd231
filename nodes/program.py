"""Which nova-graph this is."""

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """Return the version of nova-graph."""
    try:
        return version("nova-graph")
    except PackageNotFoundError:
        return "unknown"
