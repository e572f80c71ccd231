"""A download that is not whole yet."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from nodes.assets.files import write_atomically

FOLDER = ".part"
"""Beside the finished files, so that the last rename never crosses a disk."""


@dataclass(frozen=True, slots=True)
class Version:
    """Which version of which file the bytes of a part belong to."""

    validator: str
    """A strong ETag or a Last-Modified date; empty where the server gives none, so that nothing can be resumed."""
    total: int | None
    sha256: str
    name: str


class Part:
    """The bytes that came so far, and what they are part of.

    A note of the version is written before the first byte, so whoever finds a part knows what it is part of.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.path = folder / FOLDER / f"{identity}.part"
        self.guard = folder / FOLDER / f"{identity}.lock"
        self._note = folder / FOLDER / f"{identity}.json"

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        with suppress(OSError):
            return self.path.stat().st_size
        return 0

    @property
    def version(self) -> Version | None:
        """What the bytes belong to; None if there are none, or nobody knows."""
        with suppress(OSError, ValueError, TypeError):
            version = Version(**json.loads(self._note.read_bytes()))
            if self.path.is_file() and _is_sound(version):
                return version
        return None

    def prepare(self) -> None:
        """Make the folder. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def begin(self, version: Version) -> None:
        """Forget old bytes and start on a new version of the file."""
        self.discard()
        write_atomically(self._note, json.dumps(asdict(version)).encode())

    def open(self) -> BinaryIO:
        """Open the part for more bytes at its end. Raises OSError."""
        return self.path.open("ab")

    def discard(self) -> None:
        """Remove bytes and note."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _is_sound(version: Version) -> bool:
    texts = (version.validator, version.sha256, version.name)
    return all(isinstance(text, str) for text in texts) and (version.total is None or type(version.total) is int)
