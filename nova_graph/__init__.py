"""Typed node graphs for SDXL anime images: `load` a graph, `plan` it, `run` the plan.

The names are imported when they are first used, so that `nova-graph --help` need not wait for them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.services import Cancel
    from nova_graph.api import Graph, Plan, arun, load, run
    from nova_graph.result import Result
    from nova_graph.runtime import Runtime, local_runtime

__all__ = ["Cancel", "Graph", "Plan", "Result", "Runtime", "arun", "load", "local_runtime", "run"]

_HOMES = {
    "Cancel": "engine.services",
    "Graph": "nova_graph.api",
    "Plan": "nova_graph.api",
    "Result": "nova_graph.result",
    "Runtime": "nova_graph.runtime",
    "arun": "nova_graph.api",
    "load": "nova_graph.api",
    "local_runtime": "nova_graph.runtime",
    "run": "nova_graph.api",
}


def __getattr__(name: str) -> object:
    """Import a public name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
