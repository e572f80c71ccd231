"""Telling a client's own server that a job is over: signed, retried, and never into a private network."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import time
from dataclasses import dataclass
from typing import Final

import httpx
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from nova_graph.http.addresses import Resolve, WrongAddress, check_url, find_target, resolve_host
from nova_graph.http.privacy import Discretion
from nova_graph.http.problems import INPUT, Trouble
from nova_graph.http.settings import HttpSettings
from nova_graph.http.views import job_view
from nova_graph.service.backend import OVER, Backend, Job

ATTEMPTS: Final = 6
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
PATIENCE: Final = 10.0
"""Seconds for each step of one call."""

TOGETHER: Final = 16
"""Calls at the same time."""

_WATCHED: Final = 600.0
_GOOD: Final = range(200, 300)
_log = logging.getLogger("nova_graph.http")


class _NotTaken(Exception):
    """The other server did not take the call."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a webhook is called, and the seconds between."""

    attempts: int = ATTEMPTS
    first_wait: float = FIRST_WAIT
    longest_wait: float = LONGEST_WAIT


class Courier:
    """Waits for jobs with webhooks and calls these, also for jobs of before a restart."""

    def __init__(
        self,
        backend: Backend,
        settings: HttpSettings,
        discretion: Discretion,
        *,
        resolve: Resolve = resolve_host,
        pace: Pace | None = None,
    ) -> None:
        self._backend = backend
        self._discretion = discretion
        self._settings = settings
        self._resolve = resolve
        self._pace = pace or Pace()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(TOGETHER)

    def check(self, url: str) -> None:
        """Refuse an address that webhooks may not go to; raises Trouble."""
        if not self._settings.webhook_secret.get_secret_value():
            raise Trouble(422, "This service sends no webhooks.", kind=INPUT, hint="The operator sets a secret.")
        try:
            check_url(url, http=self._settings.webhook_http, networks=self._settings.webhook_networks)
        except WrongAddress as wrong:
            raise Trouble(422, f"webhook_url: {wrong}.", kind=INPUT) from None

    async def start(self) -> None:
        """Take up what an earlier process left."""
        for job in await self._backend.webhooks_due():
            self.watch(job)

    def watch(self, job: Job) -> None:
        """Call the job's webhook when it is over."""
        if job.webhook_url and job.id not in self._tasks:
            task = asyncio.create_task(self._see_through(job))
            self._tasks[job.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def close(self) -> None:
        """Stop; what was not told is told by the next process."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _see_through(self, job: Job) -> None:
        try:
            current: Job | None = job
            while current is not None and current.state not in OVER:
                current = await self._backend.wait(job.owner, job.id, _WATCHED)
            if current is not None:
                async with self._places:
                    await self._tell(current)
            await self._backend.webhook_told(job.id)
        except Exception:  # noqa: BLE001 - a task of its own: nobody else would hear of it
            _log.exception("the webhook of job %s failed", job.id)

    async def _tell(self, job: Job) -> None:
        body = json.dumps({"type": f"job.{job.state}", "data": self._view(job)}).encode()
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((httpx.HTTPError, OSError, _NotTaken)),
            stop=stop_after_attempt(self._pace.attempts),
            wait=wait_exponential_jitter(multiplier=self._pace.first_wait, max=self._pace.longest_wait),
        )
        try:
            async for attempt in retrying:
                with attempt:
                    await self._call(job, body)
        except RetryError:
            _log.warning("the webhook of job %s did not answer after %d calls", job.id, self._pace.attempts)
        except WrongAddress as wrong:
            _log.warning("the webhook of job %s is not called: %s", job.id, wrong)

    def _view(self, job: Job) -> object:
        return job_view(job, self._discretion).model_dump(mode="json")

    async def _call(self, job: Job, body: bytes) -> None:
        """Call once. The connection goes to the address that was checked; no redirect is followed."""
        networks = self._settings.webhook_networks
        http = self._settings.webhook_http
        target = await find_target(job.webhook_url, http=http, networks=networks, resolve=self._resolve)
        headers = {
            "Host": target.authority,
            "Content-Type": "application/json",
            "User-Agent": "nova-graph",
            **signature_headers(self._settings, job, body, int(time.time())),
        }
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False, follow_redirects=False) as client:
            request = client.build_request("POST", target.url, content=body, headers=headers)
            request.extensions["sni_hostname"] = target.host
            answer = await client.send(request, stream=True)
            await answer.aclose()
        if answer.status_code not in _GOOD:
            raise _NotTaken(f"status {answer.status_code}")


def owner_secret(settings: HttpSettings, owner: str) -> str:
    """Return what an owner checks webhooks with: base64 after `whsec_`, as in the Standard Webhooks specification."""
    main = settings.webhook_secret.get_secret_value().encode()
    return "whsec_" + base64.b64encode(hmac.digest(main, owner.encode(), hashlib.sha256)).decode()


def signature_headers(settings: HttpSettings, job: Job, body: bytes, now: int) -> dict[str, str]:
    """Return the headers of the Standard Webhooks specification: id, timestamp and HMAC-SHA256 signature."""
    key = base64.b64decode(owner_secret(settings, job.owner).removeprefix("whsec_"))
    signed = b".".join([job.id.encode(), str(now).encode(), body])
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {"webhook-id": job.id, "webhook-timestamp": str(now), "webhook-signature": f"v1,{signature}"}
