"""Where downloaded files came from."""

import json
from contextlib import suppress
from pathlib import Path

from nodes.assets.files import write_atomically
from nodes.assets.sources import Source


class Origins:
    """A folder of notes, one for each downloaded content; they hold no secrets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, sha256: str, source: Source) -> None:
        """Remember where a content came from. Raises OSError."""
        record = {"from": source.label, "identity": source.identity}
        write_atomically(self._folder / f"{sha256}.json", json.dumps(record).encode())

    def label(self, sha256: str) -> str:
        """Return the address, as it may be shown, that a content came from; empty where unknown."""
        return self._read(sha256, "from")

    def is_from(self, sha256: str, source: Source) -> bool:
        """Tell whether a content was downloaded from this source."""
        return self._read(sha256, "identity") == source.identity

    def _read(self, sha256: str, field: str) -> str:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads((self._folder / f"{sha256}.json").read_bytes())[field])
        return ""
