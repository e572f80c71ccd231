"""`nova-graph rerun`: the graph that a picture carries, run again."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.assets import Found
from engine.errors import AssetRefused
from engine.openers import SUFFIXES
from nodes.pictures.compare import mean_difference
from nodes.pictures.decode import Decoded, decode_picture
from nodes.pictures.formats import MAX_BYTES
from nodes.pictures.record import PictureRecord, read_metadata
from nova_graph.cli.commands.run import RunOptions, display, draw_and_save, follow
from nova_graph.cli.exits import UsageError
from nova_graph.cli.opening import Given, every_node, given_inputs, open_runtime, tell
from nova_graph.cli.printing import harmless
from nova_graph.cli.recorded import RecordedAssets
from nova_graph.cli.saving import base_name
from nova_graph.cli.summary import Summary

if TYPE_CHECKING:
    from engine.graph import Graph as Written
    from nova_graph.api import Graph, Plan
    from nova_graph.cli.ndjson import Lines
    from nova_graph.runtime import Runtime


def rerun_picture(given: Given, options: RunOptions, lines: "Lines | None") -> None:
    """Run the graph of a picture again, with other inputs where they are given. Raises NovaError."""
    record = read_metadata(_read(given.path), given.path.name)
    with open_runtime(device=options.device, on_disk=options.use_cache) as runtime:
        graph = _graph(record, given.path, _with_recorded(runtime, record))
        plan = graph.plan_with(given_inputs(graph, given))
        for difference in _other_assets(record, plan):
            tell(f"not what the picture was made with: {difference}")
        draw_and_save(plan, options.out, base_name(given.path), lines)


def print_picture_inputs(given: Given) -> None:
    """Print the flags of the inputs that a picture's graph has; raises NovaError."""
    from nova_graph.cli.commands.inputs import print_inputs_of
    from nova_graph.graph_file import GraphFile

    record = read_metadata(_read(given.path), given.path.name)
    print_inputs_of(GraphFile(_written(record, given.path), given.path, every_node()))


def verify_picture(given: Given, device: str, unused: Sequence[str] = ()) -> bool:
    """Draw a picture again from nothing and compare the pixels; returns whether they are equal.

    They are where the run gives the pixels that the record names, and the file still shows them.
    `unused` are options that have no meaning here. Raises NovaError.
    """
    path = given.path
    if unused:
        raise UsageError(f"--verify saves nothing, tells no events and uses no cache: leave {' and '.join(unused)} out")
    if given.tokens or given.settings:
        raise UsageError("--verify draws the very same picture: it takes no inputs")
    data = _read(path)
    record = read_metadata(data, path.name)
    before = decode_picture(data, path.name)
    with open_runtime(device=device, on_disk=False) as runtime:
        plan = _graph(record, path, _with_recorded(runtime, record)).plan_with({})
        with display(None) as show:
            result = follow(plan, Summary(), show)
        differences = list(_differences(record, plan))
    files = result.files
    if not 0 <= record.index < len(files):
        raise AssetRefused(f"the record of {path.name} says picture {record.index}, but its graph made {len(files)}")
    again = files[record.index]
    is_made = again.pixel_sha256 == record.pixels
    after = decode_picture(again.data)
    for line in _verdict(is_made, record, before, after):
        sys.stdout.write(f"{harmless(line)}\n")
    for difference in differences:
        sys.stdout.write(f"  {harmless(difference)}\n")
    return is_made and before == after


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="Name a picture in it.")
    if path.suffix in SUFFIXES:
        raise UsageError(f"{path} is a graph file, no picture", hint=f"`nova-graph run {path}` draws it.")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AssetRefused(f"{path} is larger than {MAX_BYTES // 2**20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _graph(record: PictureRecord, path: Path, runtime: "Runtime") -> "Graph":
    from nova_graph.api import Graph

    return Graph(_written(record, path), path, runtime.registry, runtime)


def _written(record: PictureRecord, path: Path) -> "Written":
    from engine.parse import parse

    nodes = record.graph.get("nodes")
    if isinstance(nodes, dict) and any(isinstance(node, dict) and "graph" in node for node in nodes.values()):
        raise AssetRefused(f"the graph in {path.name} includes other files, which a picture may not")
    text = json.dumps(record.graph, indent=1)
    return parse(text.encode(), f"{path.name} (graph)")


def _with_recorded(runtime: "Runtime", record: PictureRecord) -> "Runtime":
    def by_content(kind: str, sha256: str) -> Path | None:
        from nodes.assets.inventory import list_models

        models = list_models(runtime.assets)
        return next((model.path for model in models if model.kind == kind and model.sha256 == sha256), None)

    assets = RecordedAssets(runtime.services.assets, record.assets, by_content)
    return replace(runtime, services=replace(runtime.services, assets=assets))


def _verdict(is_made: bool, record: PictureRecord, before: Decoded, after: Decoded) -> Iterator[str]:
    if is_made and before == after:
        yield f"equal: the same pixels, sha256 {record.pixels}"
        return
    if is_made:
        yield "different: this run gave the pixels that the record names, and the file shows others"
        yield "  it was changed since it was made, or another version of the encoder compressed it"
    else:
        yield f"different: the record says pixels {record.pixels[:16]}..., this run gave others"
    apart = mean_difference(before.picture, after.picture)
    if apart is not None:
        yield f"  mean difference {apart:.3f} of 255"


def _differences(record: PictureRecord, plan: "Plan") -> Iterator[str]:
    """Yield what is not as it was when the picture was made."""
    then, now = record.environment.split("|"), plan.runtime.environment.fingerprint.split("|")
    gone, come = [part for part in then if part not in now], [part for part in now if part not in then]
    if gone or come:
        yield f"environment then: {', '.join(gone) or '-'}"
        yield f"environment now:  {', '.join(come) or '-'}"
    yield from _other_assets(record, plan)


def _other_assets(record: PictureRecord, plan: "Plan") -> Iterator[str]:
    """Yield what has another content than the record says, under the name that it has there."""
    for asset in record.assets:
        found = plan.engine_plan.found.get((str(asset.get("node")), str(asset.get("port"))))
        if isinstance(found, Found) and found.asset.name == asset.get("name") and found.sha256 != asset.get("sha256"):
            name = f"{asset.get('kind')} {asset.get('name')}"
            yield f"{name}: sha256 then {str(asset.get('sha256'))[:16]}, now {found.sha256[:16]}"
