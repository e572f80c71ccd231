"""What is generated from the node declarations is up to date."""

import json
from pathlib import Path

from engine.schema import graph_schema
from nodes.library import built_in


def test_the_schema_that_editors_read_is_that_of_the_nodes() -> None:
    written = json.loads(Path("schemas/graph.schema.json").read_text(encoding="utf-8"))
    assert written == graph_schema(built_in()), "run `make docs`"


def test_every_shipped_graph_names_the_schema() -> None:
    for path in Path("graphs").rglob("*.yaml"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        prefix, _, target = first.partition("$schema=")
        assert prefix == "# yaml-language-server: "
        assert (path.parent / target).resolve() == Path("schemas/graph.schema.json").resolve()
