"""What the operator set about the deployment on Modal, read from the environment variables once."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import SettingError
from nova_graph.modal.prices import PER_SECOND

PREFIX = "NOVA_MODAL_"
MOUNT = "/cache"
"""Where the Volume lies in every container."""

DOWNLOAD = 3600
"""Seconds that a download may take, and no setting changes."""

GPUS = (*PER_SECOND, "A100")
"""Names that Modal knows and SDXL fits on; `A100` takes either size."""

EXACT = ("H100",)
"""GPUs in whose place Modal may give a better one, unless `!` follows the name."""

NO_GPU = "none"
"""In place of GPUs: the processor, to rehearse a deployment on the embedded model without paying for a GPU."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_COUNT = re.compile(r"[0-9]{1,7}")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_WINDOW = (2, 3600)
_DAY = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    """Names, machines and limits of one deployment; times are in seconds."""

    app: str = "nova-anime-ilxl"
    """`NOVA_MODAL_APP`"""
    volume: str = "nova-anime-cache"
    """`NOVA_MODAL_VOLUME`"""
    secret: str = "nova-anime-checkpoint"  # noqa: S105 - the name of a secret, not one
    """`NOVA_MODAL_SECRET`; `none` goes without."""
    gpus: tuple[str, ...] = ("A100-40GB",)
    """`NOVA_MODAL_GPU`, in order of preference, apart by commas; empty after `none`."""
    max_containers: int = 4
    """`NOVA_MODAL_MAX_CONTAINERS`: GPU containers at a time, and so the most that is spent."""
    min_containers: int = 0
    """`NOVA_MODAL_MIN_CONTAINERS`: GPU containers kept when there is nothing to do; each costs all the time."""
    scaledown: int = 120
    """`NOVA_MODAL_SCALEDOWN`: how long an idle GPU container waits for the next call, and costs."""
    timeout: int = 900
    """`NOVA_MODAL_TIMEOUT`: how long one call may run."""
    startup: int = 600
    """`NOVA_MODAL_STARTUP_TIMEOUT`: how long a container may take to start."""
    cpu: int = 8
    """`NOVA_MODAL_CPU`: processor cores of the GPU class."""
    memory: int = 32768
    """`NOVA_MODAL_MEMORY`: MiB of the GPU class."""
    snapshot: bool = True
    """`NOVA_MODAL_SNAPSHOT`: start from a snapshot of the memory after the imports."""
    gpu_snapshot: bool = False
    """`NOVA_MODAL_GPU_SNAPSHOT`: the snapshot holds the GPU's memory too; Modal calls this experimental."""
    region: str = ""
    """`NOVA_MODAL_REGION`; pinning one costs more."""
    proxy_auth: bool = False
    """`NOVA_MODAL_PROXY_AUTH`: the web address asks for a proxy token of the workspace."""
    fallback: str = ""
    """`NOVA_MODAL_FALLBACK_CHECKPOINT`: drawn with when the checkpoint asked for cannot be had."""

    @property
    def jobs(self) -> str:
        """Return the name of the Dict with the records of jobs."""
        return f"{self.app}-jobs"

    @property
    def job_events(self) -> str:
        """Return the name of the Dict with what else is kept of jobs and calls."""
        return f"{self.app}-job-events"

    @property
    def device(self) -> str:
        """Return the device that the GPU class computes on."""
        return "cuda" if self.gpus else "cpu"


def read_cloud_settings(environ: Mapping[str, str] | None = None) -> CloudSettings:
    """Read the settings from environment variables; without `environ`, from those of this process.

    Raises SettingError.
    """
    values = os.environ if environ is None else environ
    _check_known(values)
    usual = CloudSettings()
    secret = _name(values, "SECRET", usual.secret)
    settings = CloudSettings(
        app=_name(values, "APP", usual.app),
        volume=_name(values, "VOLUME", usual.volume),
        secret="" if secret == NO_GPU else secret,
        gpus=read_gpus(values.get(f"{PREFIX}GPU", "")) if values.get(f"{PREFIX}GPU", "").strip() else usual.gpus,
        max_containers=_count(values, "MAX_CONTAINERS", usual.max_containers, 1, 1000),
        min_containers=_count(values, "MIN_CONTAINERS", usual.min_containers, 0, 1000),
        scaledown=_count(values, "SCALEDOWN", usual.scaledown, *_WINDOW),
        timeout=_count(values, "TIMEOUT", usual.timeout, 1, _DAY),
        startup=_count(values, "STARTUP_TIMEOUT", usual.startup, 1, _DAY),
        cpu=_count(values, "CPU", usual.cpu, 1, 64),
        memory=_count(values, "MEMORY", usual.memory, 1024, 344_064),
        snapshot=_flag(values, "SNAPSHOT", usual.snapshot),
        gpu_snapshot=_flag(values, "GPU_SNAPSHOT", usual.gpu_snapshot),
        region=_name(values, "REGION", usual.region),
        proxy_auth=_flag(values, "PROXY_AUTH", usual.proxy_auth),
        fallback=values.get(f"{PREFIX}FALLBACK_CHECKPOINT", "").strip(),
    )
    if settings.min_containers > settings.max_containers:
        raise SettingError(
            f"{PREFIX}MIN_CONTAINERS is {settings.min_containers}, more than the {settings.max_containers} "
            f"that {PREFIX}MAX_CONTAINERS allows"
        )
    return settings


def settings_or_exit() -> CloudSettings:
    """Read the settings from this process's environment variables; raises SystemExit where one is wrong."""
    try:
        return read_cloud_settings()
    except SettingError as error:
        raise SystemExit(f"Nothing was deployed or run: {error}") from None


def read_gpus(text: str) -> tuple[str, ...]:
    """Read a list of GPUs in order of preference, such as `L40S,A100-40GB`; raises SettingError.

    `H100!` is an H100 and nothing better. `none` gives an empty list.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if [name.lower() for name in names] == [NO_GPU]:
        return ()
    known = {name.upper(): name for name in GPUS}
    gpus = []
    for name in names:
        plain = name.removesuffix("!").upper()
        if plain not in known:
            raise SettingError(f"{PREFIX}GPU: there is no GPU {name[:40]!r}", hint=_gpu_hint(plain, known))
        if name.endswith("!") and known[plain] not in EXACT:
            raise SettingError(
                f"{PREFIX}GPU: {name!r} means nothing",
                hint=f"Write {known[plain]}; only {', '.join(EXACT)} can have a !.",
            )
        gpus.append(known[plain] + name[len(plain) :])
    if not gpus:
        raise SettingError(f"{PREFIX}GPU names nothing", hint=f"Use some of {', '.join(GPUS)}, or {NO_GPU}.")
    return tuple(gpus)


def own_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that this module reads, so that containers read the same."""
    values = os.environ if environ is None else environ
    return {name: value for name, value in sorted(values.items()) if name.startswith(PREFIX)}


def _gpu_hint(name: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"Did you mean {known[close[0]]}? " if close else ""
    several = "One GPU draws a picture; more containers draw more. " if ":" in name else ""
    return f"{guess}{several}Use some of {', '.join(GPUS)}, or {NO_GPU}."


def _check_known(values: Mapping[str, str]) -> None:
    known = [PREFIX + name for name in _KNOWN]
    for name in values:
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else "docs/modal.md lists them."
            raise SettingError(f"there is no setting {name}", hint=hint)


_KNOWN = (
    "APP",
    "VOLUME",
    "SECRET",
    "GPU",
    "MAX_CONTAINERS",
    "MIN_CONTAINERS",
    "SCALEDOWN",
    "TIMEOUT",
    "STARTUP_TIMEOUT",
    "CPU",
    "MEMORY",
    "SNAPSHOT",
    "GPU_SNAPSHOT",
    "REGION",
    "PROXY_AUTH",
    "FALLBACK_CHECKPOINT",
)


def _name(values: Mapping[str, str], name: str, usual: str) -> str:
    text = values.get(PREFIX + name, "").strip()
    if not text:
        return usual
    if not _NAME.fullmatch(text):
        raise SettingError(f"{PREFIX}{name} is not a name: {text[:40]!r}", hint="Use letters, digits, dots and dashes.")
    return text


def _count(values: Mapping[str, str], name: str, usual: int, least: int, most: int) -> int:
    text = values.get(PREFIX + name, "").strip()
    if not text:
        return usual
    if not _COUNT.fullmatch(text) or not least <= int(text) <= most:
        raise SettingError(f"{PREFIX}{name} must be a whole number from {least} to {most}, got {text[:40]!r}")
    return int(text)


def _flag(values: Mapping[str, str], name: str, usual: bool) -> bool:
    text = values.get(PREFIX + name, "").strip()
    if not text:
        return usual
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise SettingError(f"{PREFIX}{name} is neither on nor off: {text[:40]!r}", hint="Set it to 1 or 0.")
