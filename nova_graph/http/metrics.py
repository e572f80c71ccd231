"""Figures for Prometheus, and one log line for each request."""

import logging
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nova_graph.service.backend import Load

_log = logging.getLogger("nova_graph.http")
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30, 120)


class Metrics:
    """Counts requests by route and answer; jobs are counted by the backend."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "nova_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "nova_http_seconds",
            "Seconds until the answer was sent.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.jobs = Gauge("nova_jobs", "Jobs by state.", ("state",), registry=self.registry)
        self.restarts = Gauge("nova_worker_restarts", "Workers started again.", registry=self.registry)

    def text(self, load: Load) -> bytes:
        """Return everything in Prometheus' text format."""
        for state in ("queued", "running", "done", "failed", "cancelled"):
            self.jobs.labels(state).set(getattr(load, state))
        self.restarts.set(load.restarts)
        return generate_latest(self.registry)


class Observer:
    """Measures each request, as ASGI middleware; the log line has neither query nor headers."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            took = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(_method(scope), route, status).inc()
            self._metrics.seconds.labels(route).observe(took)
            _log.info("%s %r %d %.1f ms", _method(scope), scope["path"][:200], status, took * 1000)


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH") else "other"
