"""Who asks: an API key stands for an owner, whose jobs and files nobody else sees."""

import hashlib
import hmac
from collections.abc import Sequence

from pydantic import SecretStr

from engine.errors import SettingError
from nova_graph.http.hosts import is_loopback
from nova_graph.http.settings import HttpSettings

LOCAL = "local"
"""The owner of everything where there are no keys."""


class Keys:
    """Tells the owner by the key; each comparison takes the same time, whatever the key."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._owners = [(_digest(key.get_secret_value()), owner_of(key.get_secret_value())) for key in keys]

    @property
    def are_needed(self) -> bool:
        """Whether one has to show a key."""
        return bool(self._owners)

    def owner(self, key: str) -> str | None:
        """Return whose key it is, or None."""
        given = _digest(key)
        found = None
        for digest, owner in self._owners:
            if hmac.compare_digest(digest, given):
                found = owner
        return found


def owner_of(key: str) -> str:
    """Return the owner that a key stands for; the key cannot be told from it."""
    return hashlib.sha256(b"nova-graph owner\0" + key.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def check_exposure(host: str, settings: HttpSettings) -> None:
    """Refuse to serve other machines without keys, unless told so; raises SettingError."""
    if settings.keys or settings.public or is_loopback(host):
        return
    raise SettingError(
        f"without API keys the service listens on this machine only, not on {host}",
        hint="Set NOVA_API_KEYS, or NOVA_ALLOW_PUBLIC=1 if everybody who reaches it may use it.",
    )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
