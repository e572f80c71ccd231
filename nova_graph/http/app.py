"""The application: routes around a backend that runs jobs and a desk that looks at graphs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from nodes.program import program_version
from nova_graph.http import checks, events, files, graphs, jobs, predict, reports
from nova_graph.http.addresses import Resolve, resolve_host
from nova_graph.http.auth import Keys
from nova_graph.http.desk import Desk
from nova_graph.http.files import expire_uploads
from nova_graph.http.hosts import HostGuard
from nova_graph.http.library import DEFAULT
from nova_graph.http.limits import Limits
from nova_graph.http.metrics import Metrics, Observer
from nova_graph.http.openapi import describe
from nova_graph.http.privacy import Discretion, asset_secrets, own_folders
from nova_graph.http.problems import install
from nova_graph.http.settings import HttpSettings
from nova_graph.http.shared import Shared
from nova_graph.http.webhooks import Courier, Pace
from nova_graph.service.backend import Backend

ROUTERS = (jobs.router, predict.router, events.router, checks.router, graphs.router, files.router, reports.router)


def create_app(
    backend: Backend, desk: Desk, settings: HttpSettings, *, resolve: Resolve = resolve_host, pace: Pace | None = None
) -> FastAPI:
    """Return the application; whoever started the backend and the desk closes them.

    `resolve` and `pace` are for webhooks: how names become addresses, and how long to wait between calls.
    """
    shared = share(backend, desk, settings, resolve, pace)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await shared.courier.start()
        expiring = asyncio.create_task(expire_uploads(desk))
        yield
        expiring.cancel()
        await shared.courier.close()

    app = FastAPI(
        title="nova-graph",
        version=program_version(),
        description="Pictures from graphs of typed nodes.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.shared = shared
    for router in ROUTERS:
        # A router that is included asks the framework for each of its routes again at every request.
        app.router.routes.extend(router.routes)
    install(app, shared.discretion)
    app.add_exception_handler(events.NothingMore, events.nothing_more)
    describe(app, _default_inputs(desk), with_keys=shared.keys.are_needed)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After", *predict.HEADERS],
        )
    app.add_middleware(HostGuard, settings=settings)
    app.add_middleware(Observer, metrics=shared.metrics)
    return app


def share(backend: Backend, desk: Desk, settings: HttpSettings, resolve: Resolve, pace: Pace | None) -> Shared:
    """Put the parts of a service together."""
    assets = desk.runtime.settings
    secrets = (*settings.secrets, *asset_secrets(assets))
    discretion = Discretion(secrets, own_folders(desk.uploads.folder, assets.cache, assets.models_lock.parent))
    return Shared(
        backend=backend,
        desk=desk,
        settings=settings,
        keys=Keys(settings.keys),
        limits=Limits(settings),
        courier=Courier(backend, settings, discretion, resolve=resolve, pace=pace),
        metrics=Metrics(),
        discretion=discretion,
        stopping=asyncio.Event(),
    )


def _default_inputs(desk: Desk) -> dict[str, Any]:
    """Return the schema of the default graph's inputs; without such a graph, that of nothing."""
    if DEFAULT not in desk.library.names:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    return desk.schema(DEFAULT)
