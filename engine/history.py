"""What the last run of a graph was made of, so that a plan can say why a node must run again."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from engine.atomic import sweep, write_atomically

_FILE_LIMIT: Final = 16 << 20
_GRAPHS_LIMIT: Final = 200
_LONG: Final = 200
_SHOWN: Final = 32
_CHANGES_SHOWN: Final = 3
_DIGEST: Final = "sha256:"


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What went into a node's key.

    `literals` are (port, JSON text) of what is not at its default; `upstream` are (port, node id, key); `assets` are
    (name, sha256), where the name is the word that people read in "weights changed"; `environment` is empty for nodes
    that do not compute on the device.
    """

    type: str
    version: int
    literals: tuple[tuple[str, str], ...] = ()
    upstream: tuple[tuple[str, str, str], ...] = ()
    assets: tuple[tuple[str, str], ...] = ()
    environment: str = ""
    key: str = ""


class History:
    """A folder with one small file per graph; it only ever serves explanations, so it never fails.

    Long literals are kept as their digest, and only the graphs run most recently are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last(self, graph: str) -> dict[str, Ingredients]:
        """Return the ingredients of every node of the graph's last run, by node id; empty if there is none."""
        path = self._path(graph)
        with suppress(OSError, ValidationError):
            if path.stat().st_size <= _FILE_LIMIT:
                return _RECORD.validate_json(path.read_bytes(), strict=True)
        return {}

    def remember(self, graph: str, nodes: Mapping[str, Ingredients]) -> None:
        """Replace what is known of the graph's last run; `graph` is its path or name."""
        record = {node: asdict(_shorten(ingredients)) for node, ingredients in nodes.items()}
        data = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if len(data) > _FILE_LIMIT:
            return
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._path(graph), [data])
            self._prune()

    def _path(self, graph: str) -> Path:
        name = hashlib.sha256(graph.encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / f"{name}.json"

    def _prune(self) -> None:
        sweep(self._folder)
        files = list(self._folder.glob("*.json"))
        if len(files) > _GRAPHS_LIMIT:
            files.sort(key=lambda path: path.stat().st_mtime)
            for path in files[: len(files) - _GRAPHS_LIMIT]:
                path.unlink(missing_ok=True)


_RECORD: Final = TypeAdapter(dict[str, Ingredients])


def explain(before: Ingredients | None, now: Ingredients) -> str:
    """Say in a few words why a node that is not in the cache must run: "steps 28 -> 30", "decode changed upstream"."""
    if before is None:
        return "never run before"
    changes = [
        *_declaration_changes(before, now),
        *_asset_changes(before, now),
        *_literal_changes(before, now),
        *_environment_changes(before, now),
        *_upstream_changes(before, now),
    ]
    if not changes:
        return "not in the cache any more" if before.key == now.key else "made in another way than last time"
    shown = ", ".join(changes[:_CHANGES_SHOWN])
    hidden = len(changes) - _CHANGES_SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def _declaration_changes(before: Ingredients, now: Ingredients) -> list[str]:
    if before.type != now.type:
        return [f"type {before.type} -> {now.type}"]
    if before.version != now.version:
        return [f"{now.type} version {before.version} -> {now.version}"]
    return []


def _asset_changes(before: Ingredients, now: Ingredients) -> list[str]:
    """Name the assets whose content is another; a name may stand for several."""
    old, new = _grouped(before.assets), _grouped(now.assets)
    return [f"{name} changed" for name in _names(new, old) if old.get(name) != new.get(name)]


def _literal_changes(before: Ingredients, now: Ingredients) -> list[str]:
    old, new = dict(_shorten(before).literals), dict(_shorten(now).literals)
    changes = []
    for port in _names(new, old):
        was, is_now = old.get(port, "default"), new.get(port, "default")
        if was != is_now:
            short = all(len(text) <= _SHOWN and not text.startswith(_DIGEST) for text in (was, is_now))
            changes.append(f"{port} {was} -> {is_now}" if short else f"{port} changed")
    return changes


def _environment_changes(before: Ingredients, now: Ingredients) -> list[str]:
    if before.environment == now.environment:
        return []
    old, new = before.environment.split("|"), now.environment.split("|")
    gone = [part for part in old if part and part not in new]
    come = [part for part in new if part and part not in old]
    return [f"environment {' '.join(gone) or 'none'} -> {' '.join(come) or 'none'}"]


def _upstream_changes(before: Ingredients, now: Ingredients) -> list[str]:
    """Name the nodes whose results are others; a node that only has a new id does not count."""
    old, new = _grouped(before.upstream), _grouped(now.upstream)
    changes = []
    for port in _names(new, old):
        if port not in old:
            changes.append(f"{port} connected")
        elif port not in new:
            changes.append(f"{port} disconnected")
        elif len(old[port]) != len(new[port]):
            changes.append(f"{port} has {len(new[port])} connections, had {len(old[port])}")
        else:
            pairs = zip(old[port], new[port], strict=True)
            changes += [f"{node} changed upstream" for (_, was), (node, key) in pairs if was != key]
    return list(dict.fromkeys(changes))


def _grouped(rows: Iterable[tuple[str, ...]]) -> dict[str, list[tuple[str, ...]]]:
    """Return what follows the name in each row, by name, in order."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for name, *rest in rows:
        groups.setdefault(name, []).append(tuple(rest))
    return groups


def _names(*groups: Mapping[str, object]) -> list[str]:
    """Return the names in all groups, each once, in order."""
    return list(dict.fromkeys(name for group in groups for name in group))


def _shorten(ingredients: Ingredients) -> Ingredients:
    """Replace long literals by their digest; doing it twice changes nothing."""
    return replace(ingredients, literals=tuple((port, _short_text(text)) for port, text in ingredients.literals))


def _short_text(text: str) -> str:
    if len(text) <= _LONG:
        return text
    return _DIGEST + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
