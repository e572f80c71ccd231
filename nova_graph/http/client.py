"""A service, seen from a client."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx
from pydantic import SecretStr
from tenacity import (
    RetryCallState,
    Retrying,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential_jitter,
)

from engine.errors import AssetError, GraphErrors, NovaError, Problem, Span
from engine.values import Json
from nova_graph.http.kinds import ASSET, GRAPH

PATIENCE: Final = 30.0
"""Seconds for one answer; streams of events send something at least every fifteen."""

AWAY: Final = 60.0
"""Seconds that a service may be away before a client gives up."""

AGAIN: Final = 0.5
"""Seconds before a stream that ended too early is taken up again."""

KEY_HINT: Final = "Set NOVA_API_KEY to one of the service's keys."

_PROBLEM: Final = "application/problem+json"
_UNSURE: Final = (502, 503, 504)


class ServiceError(NovaError):
    """A service refused something, or cannot be reached."""


class TooMany(ServiceError):
    """The service takes no more jobs, or requests, for so many seconds."""

    def __init__(self, message: str, seconds: float, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds


class _Away(Exception):
    """The service does not answer just now."""


class ServiceClient:
    """Speaks with a service. Once it was there, requests are repeated while it is away; none is carried out twice.

    Use it as a context manager. Methods raise ServiceError, and GraphErrors or AssetError for what a graph asks for.
    """

    def __init__(self, url: str, key: SecretStr, *, away: float = AWAY) -> None:
        self._http = httpx.Client(base_url=_base_url(url), headers=_authorization(key), timeout=PATIENCE)
        self._url = url
        self._away = away
        self._was_there = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def schema(self, graph: str) -> dict[str, Any]:
        """Return the JSON Schema of the inputs of a graph that the service knows by name."""
        return self._tree(self._request("GET", f"/v1/graphs/{graph}/schema"))

    def send_picture(self, data: bytes, media_type: str) -> str:
        """Send a picture in; returns the name that graphs call it by."""
        return str(self._tree(self._request("POST", "/v1/files", data, {"Content-Type": media_type}))["name"])

    def submit(self, graph: str | Mapping[str, Json], inputs: Mapping[str, Json], *, key: str = "") -> dict[str, Any]:
        """Hand in a graph, by name or whole; it becomes one job, however often the request had to be sent.

        Raises TooMany where the service takes no more now; other methods wait for a while then, and so does this one
        where an answer was lost before. Who hands the graph in again gives the same idempotency `key` as before.
        """
        body = json.dumps({"graph": graph, "inputs": dict(inputs)}, allow_nan=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key or uuid4().hex}
        return self._tree(self._request("POST", "/v1/jobs", body, headers, patient=False))

    def plan(self, graph: str | Mapping[str, Json], inputs: Mapping[str, Json]) -> dict[str, Any]:
        """Say what a job would do, without handing it in."""
        body = json.dumps({"graph": graph, "inputs": dict(inputs)}, allow_nan=False).encode()
        return self._tree(self._request("POST", "/v1/plan", body, {"Content-Type": "application/json"}))

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job as it stands."""
        return self._tree(self._request("GET", f"/v1/jobs/{job_id}"))

    def cancel(self, job_id: str) -> None:
        """Ask a job to stop."""
        self._tree(self._request("DELETE", f"/v1/jobs/{job_id}"))

    def picture(self, path: str) -> httpx.Response:
        """Fetch a picture of a job."""
        return self._request("GET", path)

    def events(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Follow a job's events to the last; a stream that breaks is taken up again where it was."""
        last = 0
        is_over = False
        since = time.monotonic()
        while True:
            try:
                for number, data in self._stream(job_id, last):
                    last, since = number, time.monotonic()
                    yield data
                    if data.get("event") == "done":
                        return
            except (httpx.TransportError, _Away, TooMany) as error:
                if time.monotonic() - since > self._away:
                    raise self._unreachable(error) from None
                time.sleep(error.seconds if isinstance(error, TooMany) else 0)
            else:
                if is_over:
                    return
                is_over = self.job(job_id)["state"] in ("done", "failed", "cancelled")
            if not is_over:
                time.sleep(AGAIN)

    def _stream(self, job_id: str, last: int) -> Iterator[tuple[int, dict[str, Any]]]:
        headers = {"Last-Event-ID": str(last)} if last else {}
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
            if answer.status_code != httpx.codes.OK:
                answer.read()
                self._check(answer)
                return
            data = ""
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    data = line.removeprefix("data: ")
                elif line.startswith("id: ") and data:
                    yield int(line.removeprefix("id: ")), json.loads(data)
                    data = ""

    def _tree(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            tree = answer.json()
        except ValueError:
            tree = None
        if not isinstance(tree, dict):
            raise ServiceError(f"{self._url} does not answer like nova-graph", hint="Is the address right?")
        return tree

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        patient: bool = True,
    ) -> httpx.Response:
        retrying = Retrying(
            retry=_passes if patient else _passes_once_sent,
            stop=stop_after_delay(self._away) if self._was_there else stop_after_attempt(1),
            wait=_pause,
            reraise=True,
        )
        try:
            for attempt in retrying:
                with attempt:
                    answer = self._http.request(method, path, content=body, headers=headers)
                    self._check(answer)
                    self._was_there = True
        except (httpx.TransportError, _Away) as error:
            raise self._unreachable(error) from None
        return answer

    def _unreachable(self, error: Exception) -> ServiceError:
        why = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        return ServiceError(
            f"{self._url} cannot be reached: {why}",
            hint="Is `nova-graph serve` running there?",
        )

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        if answer.status_code in _UNSURE:
            raise _Away(f"status {answer.status_code}")
        raise error_of(answer)


_BACKOFF: Final = wait_exponential_jitter(multiplier=0.2, max=5)


def _pause(state: RetryCallState) -> float:
    """Return the seconds before a request is sent again: those that the service names, where it does."""
    error = state.outcome.exception() if state.outcome is not None else None
    return error.seconds if isinstance(error, TooMany) else _BACKOFF(state)


def _passes(state: RetryCallState) -> bool:
    """Tell whether what a request met may be over when it is sent again."""
    error = state.outcome.exception() if state.outcome is not None else None
    return isinstance(error, httpx.TransportError | _Away | TooMany)


def _passes_once_sent(state: RetryCallState) -> bool:
    """Tell the same of one that must not wait for its turn, unless it may have been carried out already."""
    error = state.outcome.exception() if state.outcome is not None else None
    return _passes(state) and (state.attempt_number > 1 or not isinstance(error, TooMany))


def _base_url(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ServiceError(f"{url!r} is no address of a service", hint="Write it like http://127.0.0.1:8000.")
    return parsed


def _authorization(key: SecretStr) -> dict[str, str]:
    text = key.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise ServiceError("a key of a service is plain ASCII, and this one is not", hint=KEY_HINT)
    return {"Authorization": f"Bearer {text}"} if text else {}


def error_of(answer: httpx.Response) -> NovaError:
    """Return what an answer complains of, positions included: in a graph, in what it names, or else."""
    try:
        problem = answer.json() if answer.headers.get("content-type", "").startswith(_PROBLEM) else {}
    except ValueError:
        problem = {}
    if not isinstance(problem, dict) or not problem:
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return TooMany("too many requests, says what is in front of the service", _retry_after(answer))
        return ServiceError(f"the service answered with status {answer.status_code}", hint="Is the address right?")
    problems = [_placed(item) for item in problem.get("problems", ()) if isinstance(item, dict)]
    detail, hint = str(problem.get("detail", "")), str(problem.get("hint", ""))
    if problem.get("type") == GRAPH:
        return GraphErrors(problems or [Problem(detail)])
    if problem.get("type") == ASSET:
        return AssetError(detail, hint=hint)
    text = "\n".join([*map(str, problems), detail])
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return TooMany(text, _retry_after(answer), hint=hint)
    return ServiceError(text, hint=KEY_HINT if answer.status_code == httpx.codes.UNAUTHORIZED else hint)


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), AWAY) if text.isdecimal() and len(text) <= len("86400") else 1.0


def _placed(item: Mapping[str, Any]) -> Problem:
    message = str(item.get("message", ""))
    line, column = item.get("line"), item.get("column")
    if not isinstance(line, int) or not isinstance(column, int):
        return Problem(message)
    length = item.get("length")
    span = Span(
        str(item.get("file", "graph")),
        line,
        column,
        length if isinstance(length, int) else 1,
        str(item.get("text") or ""),
    )
    return Problem(message, span)
