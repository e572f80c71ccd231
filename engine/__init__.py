"""The graph engine: graphs, types, plans, caches, events; it knows nothing of pictures."""

from engine.assets import Asset, AssetPort, Assets, Fetchable, Found
from engine.context import Context
from engine.environment import Environment
from engine.node import Node, Output
from engine.provenance import Provenance
from engine.registry import Registry
from engine.values import Handle, Json, Loading, Value

__all__ = [
    "Asset",
    "AssetPort",
    "Assets",
    "Context",
    "Environment",
    "Fetchable",
    "Found",
    "Handle",
    "Json",
    "Loading",
    "Node",
    "Output",
    "Provenance",
    "Registry",
    "Value",
]
