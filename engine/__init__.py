"""The graph engine: graphs, types, plans, caches, events; it knows nothing of pictures."""

from engine.aliases import Aliases
from engine.assets import Asset, AssetPort, Assets, Fetchable, Found
from engine.bind import bind, check
from engine.bound import Bound
from engine.context import Context
from engine.document import document
from engine.environment import Environment
from engine.errors import GraphErrors, NovaError, Problem
from engine.graph import Graph
from engine.input_schema import input_schema, input_words
from engine.node import Node, Output
from engine.openers import FolderOpener, LibraryOpener
from engine.parse import parse
from engine.provenance import Provenance
from engine.registry import Registry
from engine.schema import graph_schema
from engine.values import Handle, Json, Loading, Value

__all__ = [
    "Aliases",
    "Asset",
    "AssetPort",
    "Assets",
    "Bound",
    "Context",
    "Environment",
    "Fetchable",
    "FolderOpener",
    "Found",
    "Graph",
    "GraphErrors",
    "Handle",
    "Json",
    "LibraryOpener",
    "Loading",
    "Node",
    "NovaError",
    "Output",
    "Problem",
    "Provenance",
    "Registry",
    "Value",
    "bind",
    "check",
    "document",
    "graph_schema",
    "input_schema",
    "input_words",
    "parse",
]
