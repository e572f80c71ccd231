"""Whole graphs as they cross the wire: settled where they are checked, planned where they run."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engine.assets import Asset, Assets, Fetchable, Found, Report
from engine.bind import bind
from engine.bound import Bound
from engine.document import document
from engine.errors import AssetMissing, GraphErrors, Problem
from engine.parse import parse
from engine.plan import Plan as EnginePlan
from engine.plan import make_plan
from engine.values import Json
from nodes.assets import Settings
from nodes.assets.named import check_name
from nova_graph.api import Plan, load
from nova_graph.runtime import Runtime, local_runtime

Document = dict[str, Json]

NAME = "graph"
"""What messages call a graph that came over the wire."""


DEFAULT = Path(__file__).resolve().parents[2] / "graphs" / "default.yaml"


def default_document(inputs: Mapping[str, Json]) -> Document:
    """Settle the default graph with inputs; those that are None keep their defaults. Raises GraphErrors."""
    given = {name: value for name, value in checked_inputs(inputs).items() if value is not None}
    with local_runtime(on_disk=False) as runtime:
        return document(load(DEFAULT, runtime=runtime).bind(given))


def checked_inputs(inputs: object) -> dict[str, Json]:
    """Return inputs whose names are names; their values are looked at where the graph is bound. Raises GraphErrors."""
    if isinstance(inputs, Mapping) and all(isinstance(name, str) for name in inputs):
        return dict(inputs)
    example = "{'prompt': '1girl, solo', 'seed': 7}"
    raise GraphErrors([Problem(f"inputs are given by name, as {example}, not as {str(inputs)[:60]!r}")])


def bind_document(document: Document, runtime: Runtime) -> Bound:
    """Check a graph that stands alone and has all its inputs; raises GraphErrors."""
    return bind(parse(json.dumps(document).encode(), NAME), runtime.registry)


def plan_document(document: Document, runtime: Runtime) -> Plan:
    """Plan a graph that stands alone; raises GraphErrors, AssetError."""
    return Plan(NAME, make_plan(bind_document(document, runtime), runtime.services), runtime)


def refuse_pending(plan: EnginePlan) -> None:
    """Refuse a plan with something left to download: not for a machine with a GPU to do. Raises AssetMissing."""
    for pending in plan.pending:
        asset = pending.fetchable.asset
        raise AssetMissing(
            f"{asset.kind} {asset.name} is not on the Volume yet ({pending.fetchable.how})",
            hint="Download it first: modal run runtime_modal.py::fetch_checkpoint",
        )


def with_checkpoint(document: Document, checkpoint: str) -> Document | None:
    """Return the graph with another checkpoint, None where it has no such input or has it already."""
    inputs = document.get("inputs")
    declared = inputs.get("checkpoint") if isinstance(inputs, dict) else None
    if not isinstance(inputs, dict) or not isinstance(declared, dict) or declared.get("default") == checkpoint:
        return None
    return {**document, "inputs": {**inputs, "checkpoint": {**declared, "default": checkpoint}}}


def told_seeds(document: Document) -> list[str]:
    """Return a line for each seed among the inputs of a settled graph.

    Whoever loses the connection has the same picture with it, often without computing it again.
    """
    inputs = document.get("inputs")
    declared = inputs if isinstance(inputs, dict) else {}
    seeds = {name: given for name, given in declared.items() if isinstance(given, dict) and given.get("type") == "seed"}
    return [f"{name}: {given['default']}" for name, given in seeds.items() if "default" in given]


def uploads_folder(settings: Settings) -> Path:
    """Return the folder of the Volume with the pictures that were sent in over HTTP."""
    return settings.cache / "uploads"


class NamesOnly:
    """Assets for graphs from strangers: they name things by name, never by path."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    def find(self, asset: Asset) -> Found | Fetchable:
        """Look an asset up; raises AssetError."""
        check_name(asset, allow_paths=False)
        return self._assets.find(asset)

    def fetch(self, asset: Asset, report: Report) -> Found:
        """Download an asset; raises AssetError."""
        check_name(asset, allow_paths=False)
        return self._assets.fetch(asset, report)


def for_owner(runtime: Runtime, owner: str) -> Runtime:
    """Return a runtime for graphs that came over HTTP: with the owner's pictures, and without paths."""
    if not owner:
        return runtime
    from nova_graph.http.uploads import Uploads

    assets = Uploads(uploads_folder(runtime.settings)).assets_for(owner, NamesOnly(runtime.services.assets))
    return replace(runtime, services=replace(runtime.services, assets=assets))


def without_history(runtime: Runtime) -> Runtime:
    """Return a runtime that notes nothing about past runs: many containers share the folder."""
    return replace(runtime, history=None)
