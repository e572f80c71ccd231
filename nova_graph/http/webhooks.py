"""Telling a client's own server that a job is over: signed, retried, and never into a private network."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import ssl
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

import httpx
from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, wait_exponential_jitter

from nova_graph.http.addresses import Resolve, WrongAddress, check_url, find_target, resolve_host
from nova_graph.http.kinds import INPUT
from nova_graph.http.privacy import Discretion
from nova_graph.http.problems import Trouble, too_many
from nova_graph.http.settings import HttpSettings
from nova_graph.http.views import job_view
from nova_graph.service.backend import OVER, Backend, Job

TOGETHER: Final = 32
"""Calls at the same time."""

OWN: Final = 4
"""Of these, calls for one owner: whose receivers are slow keeps nobody else waiting."""

PENDING_AGAIN: Final = 60
"""Seconds after which somebody with too many webhooks that were not taken should come back."""

_WATCHED: Final = 600.0
_GOOD: Final = range(200, 300)
_log = logging.getLogger("nova_graph.http")


class _NotTaken(Exception):
    """The other server did not take the call."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How webhooks are called, in seconds."""

    patience: float = 10.0
    """How long one call may take, from looking up the name to the answer."""
    first_wait: float = 1.0
    longest_wait: float = 7200.0
    """How long to wait between calls: longer each time."""
    lasting: float = 24 * 3600.0
    """How long after a job's end its webhook is still called."""
    pending: int = 10_000
    """Jobs of one owner whose webhooks were not taken yet."""


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
        self._pending: Counter[str] = Counter()
        self._places = asyncio.Semaphore(TOGETHER)
        self._own_places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(OWN))

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Reading the certificates takes long enough to keep others waiting."""
        return httpx.create_ssl_context(trust_env=False)

    def check(self, owner: str, url: str) -> None:
        """Refuse an address that webhooks may not go to, or one webhook too many; raises Trouble."""
        if not self._settings.webhook_secret.get_secret_value():
            raise Trouble(422, "This service sends no webhooks.", kind=INPUT, hint="The operator sets a secret.")
        try:
            check_url(url, http=self._settings.webhook_http, networks=self._settings.webhook_networks)
        except WrongAddress as wrong:
            raise Trouble(422, f"webhook_url: {wrong}.", kind=INPUT) from None
        if self._pending[owner] >= self._pace.pending:
            raise too_many(f"{self._pending[owner]:,} webhooks of this key were not taken yet.", PENDING_AGAIN)

    async def start(self) -> None:
        """Take up what an earlier process left."""
        for job in await self._backend.webhooks_due():
            self.watch(job)

    def watch(self, job: Job) -> None:
        """Call the job's webhook when it is over."""
        if job.webhook_url and job.id not in self._tasks:
            task = asyncio.create_task(self._see_through(job.owner, job.id))
            self._tasks[job.id] = task
            self._pending[job.owner] += 1
            task.add_done_callback(partial(self._forget, job.owner, job.id))

    async def tell(self, owner: str, job_id: str) -> None:
        """Call the webhook of a job that is over until it is taken, and note that it was told."""
        ended = await self._end_of(owner, job_id)
        if ended is not None:
            await self._tell(owner, job_id, ended)
        await self._backend.webhook_told(job_id)

    async def close(self) -> None:
        """Stop; what was not told is told by the next process."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, owner: str, job_id: str, _: asyncio.Task[None]) -> None:
        del self._tasks[job_id]
        self._pending[owner] -= 1
        self._pending += Counter()

    async def _see_through(self, owner: str, job_id: str) -> None:
        try:
            await self._end_of(owner, job_id)
            if not await self._backend.hand_on_webhook(owner, job_id):
                await self.tell(owner, job_id)
        except Exception:  # noqa: BLE001 - a task of its own: nobody else would hear of it
            _log.exception("the webhook of job %s failed", job_id)

    async def _end_of(self, owner: str, job_id: str) -> float | None:
        """Wait for a job's end; returns when that was, None for a job that is forgotten."""
        while (job := await self._backend.wait(owner, job_id, _WATCHED)) is not None:
            if job.state in OVER:
                return job.ended or job.accepted
        return None

    async def _tell(self, owner: str, job_id: str, ended: float) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((httpx.HTTPError, OSError, _NotTaken)),
            stop=lambda _: time.time() > ended + self._pace.lasting,
            wait=wait_exponential_jitter(multiplier=self._pace.first_wait, max=self._pace.longest_wait, exp_base=4),
        )
        try:
            async for attempt in retrying:
                # The place is for one call, not for the waits between calls.
                with attempt:
                    async with self._own_places[owner], self._places, asyncio.timeout(self._pace.patience):
                        # Read each time: a crowd of jobs that wait for their receivers is not held in memory.
                        job = await self._backend.job(owner, job_id)
                        if job is not None:
                            await self._call(job)
        except RetryError:
            _log.warning("the webhook of job %s was not taken; it is not called any more", job_id)
        except WrongAddress as wrong:
            _log.warning("the webhook of job %s is not called: %s", job_id, wrong)

    async def _call(self, job: Job) -> None:
        """Call once. The connection goes to the address that was checked; no redirect is followed."""
        view = job_view(job, self._discretion).model_dump(mode="json")
        body = json.dumps({"type": f"job.{job.state}", "data": view}).encode()
        networks = self._settings.webhook_networks
        http = self._settings.webhook_http
        target = await find_target(job.webhook_url, http=http, networks=networks, resolve=self._resolve)
        headers = {
            "Host": target.authority,
            "Content-Type": "application/json",
            "User-Agent": "nova-graph",
            **signature_headers(self._settings, job, body, int(time.time())),
        }
        async with httpx.AsyncClient(
            verify=self._tls, timeout=self._pace.patience, trust_env=False, follow_redirects=False
        ) as client:
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
