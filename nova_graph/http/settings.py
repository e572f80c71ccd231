"""What the operator set about the HTTP service, read from the environment variables once."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from engine.errors import SettingError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SHORTEST_KEY = 16
"""Characters that an API key needs at least."""

_NO_SECRET = SecretStr("")
_LIBRARY = Path(__file__).resolve().parents[2] / "graphs"
_COUNT = re.compile(r"[0-9]{1,12}")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Who may ask, for how much, and where from; sizes are in bytes."""

    keys: tuple[SecretStr, ...] = ()
    """`NOVA_API_KEYS`, apart by commas or spaces; without any, only this machine may ask."""
    public: bool = False
    """`NOVA_ALLOW_PUBLIC`: serve other machines although there are no keys."""
    hosts: tuple[str, ...] = ()
    """`NOVA_ALLOWED_HOSTS`: names that requests may be addressed to; empty: any with keys, this machine's without."""
    origins: tuple[str, ...] = ()
    """`NOVA_CORS_ORIGINS`: web pages that may use the service from a browser."""
    library: Path = _LIBRARY
    """`NOVA_GRAPHS`: the folder with the graphs that are known by name."""
    face: bool = True
    """`ENABLE_FACE_REFINEMENT`: what `/predict` does about faces when it is not told."""
    rate: int = 600
    """`NOVA_RATE_LIMIT`: requests per key and minute; 0 is no limit. It counts where there are keys."""
    waits: int = 256
    """`NOVA_OPEN_REQUESTS`: requests per key that may wait for a job or follow its events at the same time."""
    jobs: int = 1000
    """`NOVA_JOBS_PER_KEY`: jobs per key that may be queued or running."""
    body: int = 8 << 20
    """`NOVA_MAX_BODY`: the largest body of a request, pictures aside."""
    bodies: int = 256 << 20
    """`NOVA_BODIES`: bytes of bodies, pictures included, that are held in memory at the same time."""
    own_bodies: int = 64 << 20
    """`NOVA_BODIES_PER_KEY`: how many of these one key may have."""
    upload: int = 32 << 20
    """`NOVA_MAX_UPLOAD`: the largest picture."""
    upload_pixels: int = 4096 * 4096
    """`NOVA_MAX_UPLOAD_PIXELS`: the most pixels of a picture that is sent in."""
    uploads: int = 1 << 30
    """`NOVA_UPLOADS_PER_KEY`: the disk space of one key's pictures."""
    all_uploads: int = 10 << 30
    """`NOVA_UPLOADS`: the disk space of all keys' pictures together."""
    nodes: int = 5000
    """`NOVA_MAX_NODES`: nodes of a graph, those of its includes counted."""
    pixels: int = 4 * 2048 * 2048
    """`NOVA_MAX_PIXELS`: width x height x pictures, added up over the nodes of a graph."""
    steps: int = 1000
    """`NOVA_MAX_STEPS`: denoising steps x pictures, added up over the nodes of a graph."""
    prompt: int = 10_000
    """`NOVA_MAX_PROMPT`: characters of one text in a graph."""
    seconds: int = 3600
    """`NOVA_JOB_SECONDS`: how long a job may run."""
    request: int = 30
    """`NOVA_REQUEST_SECONDS`: how long a client may take to send a whole request, or pause in taking an answer."""
    connections: int = 250
    """`NOVA_CONNECTIONS_PER_ADDRESS`: connections that one address may have open; a proxy counts as one address."""
    patience: int = 120
    """`NOVA_PREDICT_SECONDS`: how long `/predict` waits before it answers 202."""
    webhook_secret: SecretStr = _NO_SECRET
    """`NOVA_WEBHOOK_SECRET`: what webhooks are signed with; without it there are none."""
    webhook_networks: tuple[Network, ...] = ()
    """`NOVA_WEBHOOK_NETWORKS`: private networks that webhooks may reach all the same, such as 10.1.0.0/16."""
    webhook_http: bool = False
    """`NOVA_WEBHOOK_HTTP`: webhooks may be http:// too."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must never be shown."""
        known = (*self.keys, self.webhook_secret)
        return tuple(secret.get_secret_value() for secret in known if secret.get_secret_value())


def read_http_settings(environ: Mapping[str, str] | None = None) -> HttpSettings:
    """Read the settings from environment variables; without `environ`, from those of this process.

    Raises SettingError.
    """
    values = os.environ if environ is None else environ
    usual = HttpSettings()

    def count(name: str, default: int) -> int:
        return _count(values, name, default)

    return HttpSettings(
        keys=_keys(values),
        public=_flag(values, "NOVA_ALLOW_PUBLIC", default=False),
        hosts=tuple(name.lower() for name in _words(values, "NOVA_ALLOWED_HOSTS")),
        origins=_words(values, "NOVA_CORS_ORIGINS"),
        library=Path(values["NOVA_GRAPHS"]).expanduser() if values.get("NOVA_GRAPHS") else usual.library,
        face=_flag(values, "ENABLE_FACE_REFINEMENT", default=True),
        rate=count("NOVA_RATE_LIMIT", usual.rate),
        waits=count("NOVA_OPEN_REQUESTS", usual.waits),
        jobs=count("NOVA_JOBS_PER_KEY", usual.jobs),
        body=count("NOVA_MAX_BODY", usual.body),
        bodies=count("NOVA_BODIES", usual.bodies),
        own_bodies=count("NOVA_BODIES_PER_KEY", usual.own_bodies),
        upload=count("NOVA_MAX_UPLOAD", usual.upload),
        upload_pixels=count("NOVA_MAX_UPLOAD_PIXELS", usual.upload_pixels),
        uploads=count("NOVA_UPLOADS_PER_KEY", usual.uploads),
        all_uploads=count("NOVA_UPLOADS", usual.all_uploads),
        nodes=count("NOVA_MAX_NODES", usual.nodes),
        pixels=count("NOVA_MAX_PIXELS", usual.pixels),
        steps=count("NOVA_MAX_STEPS", usual.steps),
        prompt=count("NOVA_MAX_PROMPT", usual.prompt),
        seconds=count("NOVA_JOB_SECONDS", usual.seconds),
        request=count("NOVA_REQUEST_SECONDS", usual.request),
        connections=count("NOVA_CONNECTIONS_PER_ADDRESS", usual.connections),
        patience=count("NOVA_PREDICT_SECONDS", usual.patience),
        webhook_secret=SecretStr(values.get("NOVA_WEBHOOK_SECRET", "").strip()),
        webhook_networks=_networks(values, "NOVA_WEBHOOK_NETWORKS"),
        webhook_http=_flag(values, "NOVA_WEBHOOK_HTTP", default=False),
    )


def _words(values: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(values.get(name, "").replace(",", " ").split())


def _keys(values: Mapping[str, str]) -> tuple[SecretStr, ...]:
    words = _words(values, "NOVA_API_KEYS")
    for number, word in enumerate(words, start=1):
        if len(word) < SHORTEST_KEY or not (word.isascii() and word.isprintable()):
            raise SettingError(
                f"Key {number} in NOVA_API_KEYS is not {SHORTEST_KEY} or more characters of ASCII",
                hint="Make one with `python3 -c 'import secrets; print(secrets.token_urlsafe(32))'`.",
            )
    return tuple(map(SecretStr, dict.fromkeys(words)))


def _flag(values: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = values.get(name, "").strip().lower()
    if name in values and text and text in _TRUE | _FALSE:
        return text in _TRUE
    if text:
        raise SettingError(f"{name} is neither on nor off: {text[:40]!r}", hint="Set it to 1 or 0.")
    return default


def _count(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name, "").strip().replace("_", "")
    if not text:
        return default
    if not _COUNT.fullmatch(text):
        raise SettingError(f"{name} is not a whole number: {text[:40]!r}", hint=f"Leave it unset for {default}.")
    return int(text)


def _networks(values: Mapping[str, str], name: str) -> tuple[Network, ...]:
    try:
        return tuple(map(ipaddress.ip_network, _words(values, name)))
    except ValueError as error:
        raise SettingError(f"{name}: {error}", hint="Write networks as 10.1.0.0/16.") from None
