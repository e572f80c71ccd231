"""How a value came to be: enough to make it again."""

from dataclasses import dataclass

from engine.values import Json


@dataclass(frozen=True, slots=True)
class Provenance:
    """The resolved graph a value came from, as plain data.

    `graph` is a complete graph document (format `nova: 1`): includes expanded, `when` settled, `inputs` with the values
    of this run as their defaults. `assets` lists {node, port, kind, name, sha256}. `environment` is the fingerprint.
    """

    graph: dict[str, Json]
    inputs: dict[str, Json]
    assets: tuple[dict[str, Json], ...]
    environment: str
    key: str
