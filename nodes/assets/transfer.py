"""One attempt to get the rest of a file over HTTP."""

import shutil
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from engine.assets import Report
from engine.errors import FetchError
from nodes.assets.addresses import may_carry_keys, name_file
from nodes.assets.contents import check_start
from nodes.assets.part import Part, Version
from nodes.assets.replies import Again, check_reply, length_of, linked_sha256, validator, whole_length
from nodes.assets.sources import Source

if TYPE_CHECKING:
    import httpx

_SPARE = 64 << 20
_TELL_EVERY = 0.1


class Transfer:
    """Downloads a source into its part, resuming where the last attempt stopped.

    A part is only continued if the server confirms, by If-Range and the reply's own ETag, that the file is the same.
    """

    def __init__(self, client: "httpx.Client", source: Source, part: Part, limit: int) -> None:
        self._client = client
        self._source = source
        self._part = part
        self._limit = limit
        self.resumed = False
        """Whether the part was put together from several replies."""

    def attempt(self, report: Report) -> None:
        """Get what is missing. Raises Again where another attempt may help, FetchError where it cannot, OSError."""
        import httpx

        trouble = None
        try:
            self._get(report)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            trouble = _explain(error, self._source)
        if trouble is not None:  # raised out here, so that its context is not the request with its secrets
            raise trouble

    def _get(self, report: Report) -> None:
        version = self._part.version
        offset = self._part.size if version is not None and version.validator else 0
        headers = self._headers(version, offset)
        with self._client.stream("GET", self._source.address.get_secret_value(), headers=headers) as reply:
            check_reply(reply, self._source, self._part, offset)
            self.resumed = reply.status_code == HTTPStatus.PARTIAL_CONTENT
            self._check_room(reply)
            if not self.resumed:
                self._part.begin(self._read_version(reply))
            self._copy(reply, whole_length(reply), report)

    def _headers(self, version: Version | None, offset: int) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "nova-graph"}
        key = self._source.key.get_secret_value()
        if key:
            if not may_carry_keys(self._source.address.get_secret_value()):
                raise FetchError(f"{self._source.label} is not encrypted, so the key is not sent", hint="Use https://.")
            headers["Authorization"] = f"Bearer {key}"
        if offset and version is not None:
            headers["Range"] = f"bytes={offset}-"
            headers["If-Range"] = version.validator
        return headers

    def _read_version(self, reply: "httpx.Response") -> Version:
        name = name_file(
            self._source.address.get_secret_value(),
            reply.headers.get("Content-Disposition", ""),
            self._source.suffixes,
        )
        sha256 = self._source.sha256 or linked_sha256(reply)
        return Version(validator(reply), length_of(reply), sha256, name)

    def _check_room(self, reply: "httpx.Response") -> None:
        total, missing, known = whole_length(reply), length_of(reply) or 0, self._source.size
        if total is not None and known is not None and total != known:
            raise FetchError(
                f"{self._source.label} is another file than expected: {total:,} bytes instead of {known:,}",
                hint="It was replaced on the server: check it, and note it anew.",
            )
        if total is not None and total > self._limit:
            raise self._too_big()
        folder = self._part.path.parent
        free = shutil.disk_usage(folder).free
        if missing + _SPARE > free:
            raise FetchError(
                f"{self._source.label} needs {missing:,} more bytes, but {folder.parent} has room for {free:,}",
                hint="Make room there, or set NOVA_CACHE_DIR to a folder on a bigger disk.",
            )

    def _copy(self, reply: "httpx.Response", total: int | None, report: Report) -> None:
        label = self._source.label
        done = self._part.size
        report(done, total, label)
        told = time.monotonic()
        with self._part.open() as file:
            for block in reply.iter_raw():
                if done == 0:
                    self._check_start(block)
                done += len(block)
                if done > self._limit:
                    raise self._too_big()
                file.write(block)
                if time.monotonic() - told > _TELL_EVERY:
                    report(done, total, label)
                    told = time.monotonic()
        report(done, total, label)
        if total is not None and done < total:
            raise Again("the connection was cut")

    def _check_start(self, block: bytes) -> None:
        suffix = self._source.suffixes[0] if len(self._source.suffixes) == 1 else ""
        wrong = check_start(block, suffix)
        if wrong:
            raise FetchError(f"{self._source.label}: {wrong}", hint=self._source.denied)

    def _too_big(self) -> FetchError:
        return FetchError(f"{self._source.label} is bigger than the {self._limit:,} bytes allowed")


def _explain(error: "httpx.HTTPError | httpx.InvalidURL", source: Source) -> FetchError:
    """Put a failure into words of our own: the library's may quote what the server sent."""
    import httpx

    if isinstance(error, httpx.TooManyRedirects):
        return FetchError(f"{source.label} redirects without end", hint=source.absent)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return FetchError(f"{source.label} leads to what is no http or https address", hint=source.absent)
    if isinstance(error, httpx.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return FetchError(f"{source.label} has no valid certificate", hint="Check the address and the clock here.")
    if isinstance(error, httpx.TimeoutException):
        return Again("the server stopped answering")
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return Again("there is no connection to the server")
    return Again("the connection was cut")
