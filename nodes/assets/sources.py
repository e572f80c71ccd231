"""Where a file can be downloaded from, and which key opens it."""

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import SecretStr

from engine.errors import AssetRefused
from nodes.assets.addresses import check_address, host_of, identify, show_address
from nodes.assets.settings import Settings

_CIVITAI = "https://civitai.com/user/account"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_DIGEST = re.compile(r"sha256=([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True)
class Source:
    """A file on the web.

    `denied` says what to do about 401 and 403, `absent` about 404; `sha256` and `size` are known or empty.
    """

    address: SecretStr
    key: SecretStr
    label: str
    """The address as it may be shown."""
    suffixes: tuple[str, ...] = (".safetensors",)
    sha256: str = ""
    size: int | None = None
    denied: str = ""
    absent: str = ""

    @property
    def identity(self) -> str:
        """A name for this source that holds no secret and is the same for every link to the same file."""
        return hashlib.sha256(identify(self.address.get_secret_value()).encode()).hexdigest()[:24]


def checkpoint_url(settings: Settings) -> Source:
    """Return what `CHECKPOINT_URL` names; its fragment may say `#sha256=...`. Raises AssetRefused."""
    address = settings.checkpoint_url.get_secret_value()
    check_address(address, "CHECKPOINT_URL")
    digest = _DIGEST.fullmatch(urlsplit(address).fragment)
    return _from_web(settings, address, "CHECKPOINT_URL", sha256=digest[1].lower() if digest else "")


def locked_url(
    settings: Settings, name: str, url: str, *, sha256: str = "", size: int | None = None, suffixes: tuple[str, ...]
) -> Source:
    """Return the source of a name in models.lock. Raises AssetRefused."""
    setting = f"The url of {name} in models.lock"
    check_address(url, setting)
    return _from_web(settings, url, setting, sha256=sha256, size=size, suffixes=suffixes)


def hugging_face(settings: Settings) -> Source:
    """Return what `NOVA_ANIME_HF_ID` and `NOVA_ANIME_HF_FILENAME` name. Raises AssetRefused."""
    if not _REPOSITORY.fullmatch(settings.hf_id):
        shown = repr(settings.hf_id[:100])
        raise AssetRefused(f"NOVA_ANIME_HF_ID is no repository: {shown}", hint="Write it as owner/name.")
    parts = settings.hf_filename.split("/")
    if not settings.hf_filename.endswith(".safetensors") or any(part in ("", ".", "..") for part in parts):
        raise AssetRefused(
            f"NOVA_ANIME_HF_FILENAME is no .safetensors file: {settings.hf_filename[:100]!r}",
            hint="Write it as on the repository's page of files, for example model.safetensors.",
        )
    check_address(settings.hf_endpoint, "HF_ENDPOINT")
    revision = quote(settings.hf_revision, safe="")
    address = f"{settings.hf_endpoint}/{settings.hf_id}/resolve/{revision}/{quote(settings.hf_filename)}"
    return Source(
        SecretStr(address),
        settings.hf_token,
        show_address(address),
        denied=_hugging_face_denied(settings, settings.hf_id),
        absent=f"Check NOVA_ANIME_HF_ID ({settings.hf_id}), NOVA_ANIME_HF_FILENAME ({settings.hf_filename}) and "
        f"NOVA_ANIME_HF_REVISION ({settings.hf_revision}).",
    )


def key_for(settings: Settings, host: str) -> SecretStr:
    """Return the key that may be shown to a host: CivitAI's to CivitAI, Hugging Face's to its endpoint, else none."""
    if is_civitai(settings, host):
        return settings.civitai_key
    if host == host_of(settings.hf_endpoint):
        return settings.hf_token
    return SecretStr("")


def is_civitai(settings: Settings, host: str) -> bool:
    """Tell whether a host is CivitAI or one of its subdomains."""
    return any(host == known or host.endswith(f".{known}") for known in settings.civitai_hosts)


def _from_web(
    settings: Settings,
    address: str,
    setting: str,
    *,
    sha256: str = "",
    size: int | None = None,
    suffixes: tuple[str, ...] = (".safetensors",),
) -> Source:
    host = host_of(address)
    denied = f"Check that {setting} may be read without a password; a signed link may have expired: make a new one."
    absent = f"Check {setting}."
    if is_civitai(settings, host):
        denied = _civitai_denied(settings)
        absent = _civitai_absent(address, setting)
    elif host == host_of(settings.hf_endpoint):
        denied = _hugging_face_denied(settings, "/".join(urlsplit(address).path.split("/")[1:3]))
        absent = f"Check {setting}; a link to a file has /resolve/ in it, not /blob/."
    return Source(
        SecretStr(address), key_for(settings, host), show_address(address), suffixes, sha256, size, denied, absent
    )


def _civitai_denied(settings: Settings) -> str:
    if settings.civitai_key.get_secret_value():
        return f"CIVITAI_API_KEY was sent: check on {_CIVITAI} that it is still valid and may download this model."
    return f"Set CIVITAI_API_KEY to a key made on {_CIVITAI}."


def _civitai_absent(address: str, setting: str) -> str:
    version = parse_qs(urlsplit(address).query).get("modelVersionId", ["VERSION"])[0]
    if not version.isdecimal():
        version = "VERSION"
    return f"Check {setting}; CivitAI's links to files read https://civitai.com/api/download/models/{version}."


def _hugging_face_denied(settings: Settings, repository: str) -> str:
    page = f"{settings.hf_endpoint}/{repository}"
    if settings.hf_token.get_secret_value():
        return f"HF_TOKEN was sent: check that it may read {show_address(page)}, and accept the licence there."
    return f"Set HF_TOKEN to a token that may read {show_address(page)}, and accept the licence there."
