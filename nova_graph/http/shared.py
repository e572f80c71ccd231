"""What every request needs, and who is asking."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

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


async def shared_parts(request: Request) -> Shared:
    """Return the parts of the service that a request came to."""
    parts: Shared = request.app.state.shared
    return parts


Parts = Annotated[Shared, Depends(shared_parts)]

_bearer = HTTPBearer(auto_error=False, description="One of NOVA_API_KEYS; none is needed where that is unset.")


async def caller(
    request: Request,
    parts: Parts,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> str:
    """Return the owner that a request speaks for; raises Trouble without a good key, or after too many requests."""
    if not parts.keys.are_needed:
        return LOCAL
    if credentials is None:
        raise _no_key("A key is needed.")
    owner = parts.keys.owner(credentials.credentials)
    if owner is None:
        parts.limits.count_wrong_key(request.client.host if request.client else "")
        raise _no_key("This key is not known.")
    parts.limits.count_request(owner)
    return owner


def _no_key(detail: str) -> Trouble:
    hint = "Send it as `Authorization: Bearer KEY`."
    return Trouble(401, detail, hint=hint, headers={"WWW-Authenticate": "Bearer"})


Owner = Annotated[str, Depends(caller)]
