"""Where a request believes it goes, and which web page sent it: a browser must not be talked into using the service."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from nova_graph.http.problems import Trouble, render
from nova_graph.http.settings import HttpSettings

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class HostGuard:
    """Refuses requests for other hosts (DNS rebinding) and from other sites' pages, as ASGI middleware.

    Without keys only this machine's own names are taken, unless the settings say otherwise.
    """

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self._app = app
        self._hosts = allowed_hosts(settings)
        self._origins = settings.origins
        self._any_origin = "*" in settings.origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        trouble = self._trouble(Headers(scope=scope)) if scope["type"] == "http" else None
        if trouble is None:
            await self._app(scope, receive, send)
        else:
            await render(trouble)(scope, receive, send)

    def _trouble(self, headers: Mapping[str, str]) -> Trouble | None:
        host = headers.get("host", "")
        if self._hosts and host_name(host) not in self._hosts:
            return Trouble(
                421, "The Host header names no host that is served here.", hint="The operator sets NOVA_ALLOWED_HOSTS."
            )
        origin = None if self._any_origin else headers.get("origin")
        if origin is not None and origin not in self._origins and _without_scheme(origin) != host.lower():
            return Trouble(
                403, "Web pages of this origin may not use the service.", hint="The operator sets NOVA_CORS_ORIGINS."
            )
        return None


def allowed_hosts(settings: HttpSettings) -> frozenset[str]:
    """Return the host names that requests may carry; empty means any."""
    if settings.hosts:
        return frozenset(settings.hosts)
    if settings.keys or settings.public:
        return frozenset()
    return frozenset(LOOPBACK)


def host_name(host: str) -> str:
    """Return the name in a Host header, without port and brackets; empty for what is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_scheme(origin: str) -> str:
    return origin.partition("://")[2].lower()
