"""One door for graphs: YAML, JSON text, bytes of either, or JSON that is parsed already."""

from engine.errors import GraphErrors, Problem
from engine.json_text import read_json
from engine.source import MAX_BYTES, Source, Tree, plant
from engine.values import Json
from engine.yaml12 import read_yaml

Readable = str | bytes | dict[str, Json]


def read(given: Readable, file: str) -> Tree:
    """Read a graph's tree; raises GraphErrors for what is too long, not UTF-8, or neither YAML nor JSON."""
    if isinstance(given, bytes):
        given = _decode(given, file)
    if not isinstance(given, str):
        return plant(given, file)
    _check_length(len(given), file)
    text = given.removeprefix("\ufeff")
    source = Source(file, text)
    tree = read_json(source) if text.lstrip()[:1] == "{" else None
    return tree if tree is not None else read_yaml(source)


def _decode(data: bytes, file: str) -> str:
    _check_length(len(data), file)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = Source(file, data[: error.start].decode("utf-8"))
        line, column = before.position(error.start)
        raise before.error("this file is not UTF-8 text; save it as UTF-8", line, column) from None


def _check_length(length: int, file: str) -> None:
    if length > MAX_BYTES:
        megabytes = MAX_BYTES // 2**20
        raise GraphErrors([Problem(f"{file}: a graph may be {megabytes} MiB long, this one has {length} bytes")])
