"""What a server's reply to a request for a file means."""

import re
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING

from engine.errors import FetchError
from nodes.assets.part import Part, Version
from nodes.assets.sources import Source

if TYPE_CHECKING:
    import httpx

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_LENGTH = re.compile(r"[0-9]{1,20}")
_DIGEST = re.compile(r'"?([0-9a-f]{64})"?')


class Again(FetchError):
    """This attempt failed, another may not; `after` is how many seconds the server asks to wait."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


def check_reply(reply: "httpx.Response", source: Source, part: Part, offset: int) -> None:
    """Accept a 200 with the file or a 206 with its rest from `offset`; discard the part where it is out of date.

    Raises Again or FetchError.
    """
    _check_hops(reply, source)
    status = reply.status_code
    if status == HTTPStatus.PARTIAL_CONTENT and offset:
        _check_rest(reply, part, offset)
    elif status == HTTPStatus.OK:
        _check_file(reply, source)
    elif status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.discard()
        raise Again("what came so far does not fit the file on the server")
    elif status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise FetchError(f"{source.label} may not be downloaded ({status})", hint=source.denied)
    elif status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise FetchError(f"{source.label} is not there ({status})", hint=source.absent)
    elif status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Again(f"the server is busy or broken ({status})", retry_after(reply.headers.get("Retry-After", "")))
    else:
        raise FetchError(f"{source.label} cannot be downloaded: the server answers {status}", hint=source.absent)


def retry_after(header: str, now: float | None = None) -> float | None:
    """Read a Retry-After header, seconds or a date, as seconds from `now` (seconds since 1970)."""
    text = header.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def length_of(reply: "httpx.Response") -> int | None:
    """Return how many bytes the body is said to have."""
    text = reply.headers.get("Content-Length", "")
    return int(text) if _LENGTH.fullmatch(text) else None


def whole_length(reply: "httpx.Response") -> int | None:
    """Return how many bytes the whole file is said to have."""
    found = _RANGE.fullmatch(reply.headers.get("Content-Range", "").strip())
    return int(found[3]) if found and reply.status_code == HTTPStatus.PARTIAL_CONTENT else length_of(reply)


def validator(reply: "httpx.Response") -> str:
    """Return what tells this version of the file from others: a strong ETag, else the date, else nothing."""
    etag: str = reply.headers.get("ETag", "").strip()
    if etag.startswith('"'):
        return etag
    date: str = reply.headers.get("Last-Modified", "").strip()
    return date


def linked_sha256(reply: "httpx.Response") -> str:
    """Return the sha256 that Hugging Face announces for large files, on the reply or on a redirect to it."""
    for hop in [*reply.history, reply]:
        digest = _DIGEST.fullmatch(hop.headers.get("X-Linked-Etag", "").strip())
        if digest:
            return digest[1]
    return ""


def _check_hops(reply: "httpx.Response", source: Source) -> None:
    for hop, following in pairwise([*reply.history, reply]):
        if hop.url.scheme == "https" and following.url.scheme != "https":
            raise FetchError(f"{source.label} leads away from https, to {following.url.host}")


def _check_file(reply: "httpx.Response", source: Source) -> None:
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        hint = " ".join([source.denied, source.absent])
        raise FetchError(f"{source.label} gives a web page, perhaps one to log in, instead of a file", hint=hint)
    if reply.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise FetchError(f"{source.label} comes compressed although it was asked for as it is")


def _check_rest(reply: "httpx.Response", part: Part, offset: int) -> None:
    version = part.version
    if version is None or not _continues(reply, version, offset):
        part.discard()
        raise Again("the file changed on the server")


def _continues(reply: "httpx.Response", version: Version, offset: int) -> bool:
    found = _RANGE.fullmatch(reply.headers.get("Content-Range", "").strip())
    if found is None or int(found[1]) != offset:
        return False
    same_length = version.total is None or int(found[3]) == version.total
    return same_length and validator(reply) in ("", version.validator)
