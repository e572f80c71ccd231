"""models.lock: which weights a name stands for."""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import AssetMissing, AssetRefused
from engine.problems import FEW
from nodes.assets.addresses import carries_secret, check_address
from nodes.assets.files import write_atomically
from nodes.assets.places import WEIGHTS

_LONGEST_NAME = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RESERVED = ("auto", "none", "nova-nano")
_FIELDS = ("kind", "file", "url", "sha256", "size")
_MAX_BYTES = 1 << 20
_HEAD = "# Which weights a name stands for; `nova-graph models` adds to it and verifies it.\nversion = 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a name stands for: a file, an address to download it from, or both; always the same content.

    `file` is relative to the folder of models.lock; `size` is in bytes.
    """

    kind: str
    sha256: str
    size: int
    file: str = ""
    url: str = ""


def check_named(name: str, kind: str) -> str:
    """Say what is wrong with a name of weights of a kind; empty if nothing is."""
    if not _is_name(name) or name in _RESERVED:
        return (
            "a name begins with a letter or digit, has no / \\ : or .. in it and at most 100 characters, "
            "and is not auto, none or nova-nano"
        )
    return "" if kind in WEIGHTS else f"kind must be one of {', '.join(WEIGHTS)}, got {kind[:40]!r}"


def check_entry(name: str, entry: Entry) -> str:
    """Say what is wrong with an entry; empty if nothing is."""
    if wrong := check_named(name, entry.kind):
        return wrong
    if not _DIGEST.fullmatch(entry.sha256):
        return "sha256 must be 64 digits and letters from a to f"
    if entry.size < 0:
        return "size must be a number of bytes"
    if not entry.file and not entry.url:
        return "file or url must say where it is"
    return _check_file(entry.file) or _check_url(entry.url)


def could_be_path(name: str) -> bool:
    """Tell whether a name could lead out of the folder it is looked up in, on any system."""
    return any(part in name for part in ("/", "\\", ":", "..")) or name.startswith((".", "~"))


def read_lock(path: Path) -> Mapping[str, Entry]:
    """Read a models.lock file; none at all is an empty one. Raises AssetRefused with every mistake and its line."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise AssetRefused(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise AssetRefused(f"{path} is bigger than the {_MAX_BYTES:,} bytes allowed")
    try:
        text = data.decode()
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise AssetRefused(f"{path}: {error}", hint="It is a TOML file.") from None
    return _read_tree(path, text, tree)


def format_lock(entries: Mapping[str, Entry]) -> str:
    """Write entries as the text of a models.lock file, in order of their names."""
    blocks = [_HEAD]
    for name, entry in sorted(entries.items()):
        lines = [f"[models.{_quote(name)}]", f"kind = {_quote(entry.kind)}"]
        lines += [f"{field} = {_quote(text)}" for field, text in (("file", entry.file), ("url", entry.url)) if text]
        lines += [f"sha256 = {_quote(entry.sha256)}", f"size = {entry.size}"]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def write_entry(path: Path, name: str, entry: Entry | None, guards: Path) -> None:
    """Add or replace one entry, or remove it (None), in one step; processes that do so at once wait for each other.

    `guards` is the folder for the lock between processes. Raises AssetRefused, AssetMissing.
    """
    from filelock import FileLock

    wrong = check_entry(name, entry) if entry is not None else ""
    if wrong:
        raise AssetRefused(f"{name!r} cannot be added to {path}: {wrong}")
    _make(guards)
    try:
        guard = hashlib.sha256(str(path.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:24]
        with FileLock(guards / f"{guard}.lock"):
            entries = dict(read_lock(path))
            if entry is not None:
                entries[name] = entry
            elif entries.pop(name, None) is None:
                known = f"It has {', '.join(map(repr, sorted(entries)[:FEW]))}." if entries else ""
                raise AssetMissing(f"{path} has no {name!r}", hint=known)
            write_atomically(path, format_lock(entries).encode())
    except OSError as error:
        raise AssetRefused(f"{path} cannot be written: {error.strerror}") from None


def _make(guards: Path) -> None:
    try:
        guards.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AssetRefused(
            f"cannot use the cache folder {guards.parent}: {error.strerror}",
            hint="Check who may write there, or choose another folder with NOVA_CACHE_DIR.",
        ) from None


def _is_name(text: str) -> bool:
    is_short = 0 < len(text) <= _LONGEST_NAME
    return is_short and text[0].isalnum() and text[-1] != " " and text.isprintable() and not could_be_path(text)


def _read_tree(path: Path, text: str, tree: dict[str, object]) -> Mapping[str, Entry]:
    problems = []
    if type(tree.get("version")) is not int or tree["version"] != 1:
        problems.append(f"{path}:1: version must be 1")
    problems += [f"{path}:{_line(text, key)}: unknown key {key!r}" for key in tree if key not in ("version", "models")]
    models = tree.get("models", {})
    entries: dict[str, Entry] = {}
    if not isinstance(models, dict):
        models, problems = {}, [*problems, f"{path}:{_line(text, 'models')}: models must be tables"]
    for name, fields in models.items():
        entry = _read_entry(fields)
        wrong = entry if isinstance(entry, str) else check_entry(name, entry)
        if wrong:
            problems.append(f"{path}:{_line(text, name)}: {name}: {wrong}")
        elif isinstance(entry, Entry):
            entries[name] = entry
    if problems:
        raise AssetRefused("\n".join(problems))
    return entries


def _read_entry(fields: object) -> Entry | str:
    if not isinstance(fields, dict):
        return "must be a table"
    unknown = [key for key in fields if key not in _FIELDS]
    if unknown:
        return f"unknown key {unknown[0]!r}; known are {', '.join(_FIELDS)}"
    missing = [key for key in ("kind", "sha256", "size") if key not in fields]
    if missing:
        return f"{missing[0]} is missing"
    size = fields["size"]
    if type(size) is not int or not all(isinstance(fields.get(key, ""), str) for key in _FIELDS if key != "size"):
        return "size must be a whole number, everything else text"
    texts = {key: str(fields.get(key, "")) for key in _FIELDS if key != "size"}
    return Entry(size=size, kind=texts["kind"], sha256=texts["sha256"], file=texts["file"], url=texts["url"])


def _line(text: str, name: str) -> int:
    """Find the line where a name first stands as a key or in the head of a table."""
    written = "|".join(re.escape(each) for each in (name, _quote(name)[1:-1]))
    key = re.compile(rf"""^(?!\s*\#)(.*[\s\[."'])?({written})["']?\s*[\].=]""")
    for number, line in enumerate(text.split("\n"), start=1):
        if key.match(line):
            return number
    return 1


def _check_file(file: str) -> str:
    try:
        file.encode()
    except UnicodeEncodeError:
        return "file has a name that is no text"
    return "file has a control character in it" if _CONTROL.search(file) else ""


def _check_url(url: str) -> str:
    if not url:
        return ""
    try:
        check_address(url, "url")
    except AssetRefused as error:
        return error.message
    return "url has a key or a password in it, which does not belong into a file" if carries_secret(url) else ""


def _quote(text: str) -> str:
    """Write a TOML basic string; it is JSON but for the characters that JSON would write as two surrogates."""
    return json.dumps(text, ensure_ascii=False)
