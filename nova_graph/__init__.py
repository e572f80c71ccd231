"""Typed node graphs for SDXL anime images: `load` a graph, `plan` it, `run` the plan."""

from engine.services import Cancel
from nova_graph.api import Graph, Plan, arun, load, run
from nova_graph.result import Result
from nova_graph.runtime import Runtime, local_runtime

__all__ = ["Cancel", "Graph", "Plan", "Result", "Runtime", "arun", "load", "local_runtime", "run"]
