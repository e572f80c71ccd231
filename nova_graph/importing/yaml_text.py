"""A graph as the text of a graph file."""

import re
from typing import Any, Final

import yaml

from engine.values import Json

WIDTH: Final = 110
"""Columns up to which a mapping stands on one line."""

_PLAIN: Final = re.compile(r"\$?[A-Za-z][A-Za-z0-9_.-]*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class _Block(dict[str, Json]):
    """A mapping with a line for each key."""


class _Dumper(yaml.SafeDumper):
    """Quotes every text that might be read as something else, and keeps short mappings on a line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


def _mapping(dumper: _Dumper, mapping: dict[str, Json]) -> yaml.MappingNode:
    flat = all(not isinstance(value, dict) for value in mapping.values())
    short = flat and sum(len(key) + len(str(value)) + 4 for key, value in mapping.items()) <= WIDTH
    return dumper.represent_mapping("tag:yaml.org,2002:map", mapping.items(), flow_style=short)


def _block(dumper: _Dumper, mapping: _Block) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", mapping.items(), flow_style=False)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(_Block, _block)


def graph_text(tree: dict[str, Json]) -> str:
    """Return the YAML of a graph; read back it is the same tree."""
    top = _Block({key: _Block(value) if isinstance(value, dict) else value for key, value in tree.items()})
    text = yaml.dump(top, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)
    return re.sub(r"^(?=(?:inputs|nodes|outputs):$)", "\n", text, flags=re.MULTILINE)
