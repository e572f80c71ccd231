"""Notes which defaults each version of a node has, so that a default is never changed without a new version.

`python -m tools.node_defaults` adds what is new to schemas/node-defaults.json and refuses what would be another default
under a version that is noted: cached results would be answered for inputs that now mean something else.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from engine.registry import Registry
from engine.tuples import as_json
from engine.values import Json
from nodes.library import built_in

NOTED = Path("schemas/node-defaults.json")

Defaults = dict[str, dict[str, dict[str, Json]]]
"""By node, version and port."""


def defaults_of(registry: Registry) -> Defaults:
    """Return the defaults of every optional port, under the version that each node has now."""
    return {
        name: {
            str(node.version): {
                port: as_json(declared.default) for port, declared in node.ordered_inputs if not declared.required
            }
        }
        for name, node in sorted(registry.items())
    }


def changed(noted: Defaults, now: Defaults) -> Iterator[str]:
    """Yield what is not as it was noted for the same version; a new port, version or node is no change."""
    for name, versions in now.items():
        for version, ports in versions.items():
            for port, default in noted.get(name, {}).get(version, {}).items():
                if port not in ports:
                    yield f"{name}.{port} is gone or required now, but {name} is still version {version}"
                elif _text(ports[port]) != _text(default):
                    what = f"{_text(default)} to {_text(ports[port])}"
                    yield f"the default of {name}.{port} went from {what}, but {name} is still version {version}"


def noted_with(noted: Defaults, now: Defaults) -> Defaults:
    """Return what is noted and what is new, in order."""
    return {name: {**noted.get(name, {}), **now.get(name, {})} for name in sorted({*noted, *now})}


def read_noted(path: Path = NOTED) -> Defaults:
    """Return what is noted."""
    noted: Defaults = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return noted


def main() -> None:
    """Add what is new, or end with exit code 1."""
    noted, now = read_noted(), defaults_of(built_in())
    wrong = list(changed(noted, now))
    if wrong:
        sys.exit("\n".join([*wrong, "Raise the version of the node."]))
    NOTED.write_text(json.dumps(noted_with(noted, now), indent=1) + "\n", encoding="utf-8")


def _text(value: Json) -> str:
    return json.dumps(value)


if __name__ == "__main__":
    main()
