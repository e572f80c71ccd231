"""Addresses on the web, and how much of them may be shown."""

import re
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from engine.errors import AssetRefused

_SECRET_WORDS = ("token", "key", "secret", "signature", "credential", "password", "auth", "sig", "x-amz-", "policy")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def check_address(text: str, setting: str) -> None:
    """Refuse what is not a plain http or https address; `setting` is named in the message. Raises AssetRefused."""
    hint = "Use an https:// address; for a bucket (s3://, r2://) make a signed https link."
    if _CONTROL.search(text):
        raise AssetRefused(f"{setting} has spaces or control characters in it", hint=hint)
    try:
        parts = urlsplit(text)
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed:
        raise AssetRefused(f"{setting} is not an address to download from", hint=hint)


def show_address(text: str) -> str:
    """Return an address without anything that may be secret: no user, password, query or fragment."""
    parts = urlsplit(text)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def host_of(text: str) -> str:
    """Return the host of an address in lower case."""
    return (urlsplit(text).hostname or "").lower()


def identify(text: str) -> str:
    """Return an address without what changes between two links to the same file: user, keys, signatures, fragment."""
    parts = urlsplit(text)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not _is_secret(name)]
    return f"{show_address(text)}?{urlencode(sorted(query))}"


def carries_secret(text: str) -> bool:
    """Tell whether an address has a user, a password, a key or a signature in it."""
    parts = urlsplit(text)
    names = (name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return "@" in parts.netloc or any(map(_is_secret, names))


def may_carry_keys(text: str) -> bool:
    """Tell whether keys may be sent to an address: over https, or to this very machine."""
    return urlsplit(text).scheme == "https" or host_of(text) in _LOOPBACK


def is_address(text: str) -> bool:
    """Tell whether a text looks like an address with a scheme."""
    return _SCHEME.match(text) is not None


def name_file(address: str, disposition: str, suffixes: tuple[str, ...]) -> str:
    """Choose a harmless file name from a Content-Disposition header or else from the address.

    Only letters, digits and `._+-` survive; it never starts with a dot; it ends in one of `suffixes`.
    """
    raw = _disposition_name(disposition) or unquote(urlsplit(address).path)
    last = re.split(r"[/\\]", raw)[-1]
    clean = _UNSAFE.sub("_", last).strip("._-")[-120:].lstrip("._-")
    for suffix in suffixes:
        if clean.lower().endswith(suffix):
            return (clean[: -len(suffix)].rstrip("._-") or "weights") + suffix
    return (clean or "weights") + suffixes[0]


def _disposition_name(header: str) -> str:
    extended = re.search(r"filename\*\s*=\s*[A-Za-z0-9-]*'[^']*'([^;]{1,500})", header)
    if extended:
        return unquote(extended[1].strip())
    quoted = re.search(r'filename\s*=\s*"([^"]{1,500})"', header)
    if quoted:
        return quoted[1]
    bare = re.search(r"filename\s*=\s*([^;\s]{1,500})", header)
    return bare[1] if bare else ""


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return lowered == "expires" or any(word in lowered for word in _SECRET_WORDS)
