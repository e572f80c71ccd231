"""What every request needs, and who is asking."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param

from nova_graph.http.auth import LOCAL, Keys
from nova_graph.http.desk import Desk
from nova_graph.http.limits import Limits
from nova_graph.http.metrics import Metrics
from nova_graph.http.privacy import Discretion
from nova_graph.http.problems import Trouble
from nova_graph.http.settings import HttpSettings
from nova_graph.http.uploads import Uploads
from nova_graph.http.webhooks import Courier
from nova_graph.service.backend import Backend


@dataclass(frozen=True)
class Shared:
    """The parts of one service."""

    backend: Backend
    desk: Desk
    settings: HttpSettings
    keys: Keys
    limits: Limits
    courier: Courier
    metrics: Metrics
    discretion: Discretion
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the service is about to end, so that open streams end too."""

    @property
    def uploads(self) -> Uploads:
        """The pictures that were sent in."""
        return self.desk.uploads


def parts_of(request: Request) -> Shared:
    """Return the parts of the service that a request came to."""
    parts: Shared = request.app.state.shared
    return parts


async def _parts(request: Request) -> Shared:
    return parts_of(request)


Parts = Annotated[Shared, Depends(_parts)]


class Caller(SecurityBase):
    """Tells whom a request speaks for by its API key; a bearer token to whoever reads the API's description."""

    def __init__(self) -> None:
        self.scheme_name = "HTTPBearer"
        self.model = HTTPBearer(description="One of NOVA_API_KEYS; none is needed where that is unset.")

    async def __call__(self, request: Request) -> str:
        """Return the owner; raises Trouble without a good key, or after too many requests."""
        parts = parts_of(request)
        if not parts.keys.are_needed:
            return LOCAL
        scheme, key = get_authorization_scheme_param(request.headers.get("authorization"))
        if scheme.lower() != "bearer" or not key:
            raise _no_key("A key is needed.")
        owner = parts.keys.owner(key)
        if owner is None:
            parts.limits.count_wrong_key(request.client.host if request.client else "")
            raise _no_key("This key is not known.")
        parts.limits.count_request(owner)
        return owner


def _no_key(detail: str) -> Trouble:
    hint = "Send it as `Authorization: Bearer KEY`."
    return Trouble(401, detail, hint=hint, headers={"WWW-Authenticate": "Bearer"})


Owner = Annotated[str, Depends(Caller())]
