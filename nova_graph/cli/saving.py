"""Pictures into a folder, under names that never overwrite anything."""

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from engine.atomic import temporary_name
from engine.bound import Bound
from nodes.values import File, Files
from nova_graph.cli.exits import OutputLost, UsageError

_ENDINGS = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg"}
_ADDED = re.compile(r"-\d{8}-\d{6}(-seed\d+)?(-\d+)?$")
_MAX_STEM = 80


@dataclass(frozen=True, slots=True)
class Saved:
    """A picture and where it is."""

    file: File
    path: Path


def save_outputs(groups: Mapping[str, Sequence[File]], folder: Path, stem: str, now: datetime) -> tuple[Saved, ...]:
    """Write the pictures of a run, given by output; of several outputs, each picture's name says which it is from.

    Raises OutputLost where they cannot be written.
    """
    stems = {name: stem if len(groups) == 1 else f"{stem}-{name}" for name in groups}
    named = [(file, _base(file, stems[name], now)) for name, files in groups.items() for file in files]
    return _save_all(named, folder)


def save_files(files: Sequence[File], folder: Path, stem: str, now: datetime) -> tuple[Saved, ...]:
    """Write pictures as `<stem>-<date>-<time>-seed<seed>.png`, with `-2`, `-3` ... where that is taken.

    The folder is made if need be; a picture appears whole or not at all. Raises OutputLost where it cannot be written.
    """
    return _save_all([(file, _base(file, stem, now)) for file in files], folder)


def save_as(files: Sequence[File], folder: Path, name: str) -> tuple[Saved, ...]:
    """Write pictures as `<name>.png`, with `-2`, `-3` ... where that is taken; see `save_files`. Raises OutputLost."""
    return _save_all([(file, name) for file in files], folder)


def print_paths(saved: Iterable[Saved]) -> None:
    """Print where pictures are, at once: whoever reads them may be at work already."""
    for picture in saved:
        sys.stdout.write(f"{picture.path}\n")
    sys.stdout.flush()


def makes_pictures(bound: Bound) -> bool:
    """Tell whether a graph has an output that is saved."""
    nodes = {node.id: node.declaration for node in bound.nodes}
    return any(nodes[made.node].outputs[made.port].annotation is Files for made in bound.outputs.values())


def check_out(bounds: Iterable[Bound], folder: Path) -> None:
    """See, before graphs run, that there is a place for the pictures of those that make any; raises UsageError."""
    if any(makes_pictures(bound) for bound in bounds):
        check_folder(folder)


def check_folder(folder: Path) -> None:
    """See that a folder can be written to, or made, before anybody works for what goes there. Raises UsageError."""
    try:
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UsageError(_unwritable(folder, error), hint="Name another folder with --out.") from error


def _save_all(named: Sequence[tuple[File, str]], folder: Path) -> tuple[Saved, ...]:
    saved: list[Saved] = []
    try:
        for file, name in named:
            folder.mkdir(parents=True, exist_ok=True)
            saved.append(Saved(file, _save(file, folder, name)))
    except OSError as error:
        before = f"; saved before that: {', '.join(str(each.path) for each in saved)}" if saved else ""
        hint = "Run it again with another --out; what the cache has kept is not computed again."
        raise OutputLost(_unwritable(folder, error) + before, hint=hint) from error
    return tuple(saved)


def _unwritable(folder: Path, error: OSError) -> str:
    return f"the pictures cannot be written to {folder}: {error.strerror or error}"


def base_name(path: Path) -> str:
    """Return what a picture was called before date, time, seed and number were added: the stem for another one."""
    return _ADDED.sub("", path.stem) or path.stem


def _base(file: File, stem: str, now: datetime) -> str:
    safe = re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:_MAX_STEM] or "picture"
    seed = "" if file.seed is None else f"-seed{file.seed}"
    return f"{safe}-{now:%Y%m%d-%H%M%S}{seed}"


def _save(file: File, folder: Path, base: str) -> Path:
    ending = _ENDINGS.get(file.media_type, ".bin")
    whole = temporary_name(folder / f"{base}{ending}")
    try:
        with whole.open("xb") as stream:
            stream.write(file.data)
            stream.flush()
            os.fsync(stream.fileno())
        for number in count(1):
            path = folder / (f"{base}{ending}" if number == 1 else f"{base}-{number}{ending}")
            if _take_name(whole, path):
                return path
    finally:
        with suppress(FileNotFoundError):
            whole.unlink()
    raise AssertionError


def _take_name(whole: Path, path: Path) -> bool:
    """Give a whole file its name unless that is taken; where the file system has no links, reserve the name first."""
    try:
        path.hardlink_to(whole)
    except FileExistsError:
        return False
    except (OSError, NotImplementedError):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            return False
        whole.replace(path)
    return True
