"""Where webhooks may go: a name is resolved once, every address it has is checked, and only a checked one is used."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from nova_graph.http.settings import Network

LONGEST: Final = 2000
"""Characters of a webhook's address."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Called with a host name and a port; returns addresses as text, or raises OSError."""

_PORTS: Final = {"http": 80, "https": 443}
_INSIDE: Final = (".localhost", ".local", ".internal", ".home.arpa", ".lan")
_TRANSLATED: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
"""IPv6 networks whose last four bytes are an IPv4 address that may be reached through them."""


class WrongAddress(Exception):
    """A webhook may not go there; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked place: `url` names the address itself, `host` is what the request and the certificate are for."""

    url: str
    host: str
    authority: str


def check_url(url: str, *, http: bool, networks: Sequence[Network]) -> SplitResult:
    """Check what can be checked without asking a resolver; raises WrongAddress."""
    if len(url) > LONGEST or not url.isascii() or not url.isprintable() or any(mark in url for mark in " \\"):
        raise WrongAddress(f"an address is up to {LONGEST} characters of ASCII without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise WrongAddress("this is no address") from None
    if parts.scheme != "https" and not (http and parts.scheme == "http"):
        raise WrongAddress("the address must begin with https://")
    if not parts.hostname or port == 0:
        raise WrongAddress("the address names no host")
    if parts.username is not None or parts.password is not None:
        raise WrongAddress("the address must not hold a user name or password")
    name = parts.hostname.rstrip(".").lower()
    try:
        name.encode("idna")
    except UnicodeError:
        raise WrongAddress("the address names no host that there can be") from None
    literal = _literal(name)
    if literal is not None and not is_allowed(literal, networks):
        raise WrongAddress("the address lies in a private or reserved network")
    if literal is None and not networks and ("." not in name or name.endswith(_INSIDE)):
        raise WrongAddress("the address names a host inside a network")
    return parts


async def find_target(url: str, *, http: bool, networks: Sequence[Network], resolve: Resolve) -> Target:
    """Resolve an address and check every answer; raises WrongAddress, OSError."""
    parts = check_url(url, http=http, networks=networks)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or _PORTS[parts.scheme]
    found = [ipaddress.ip_address(text.partition("%")[0]) for text in await resolve(host, port)]
    if not found:
        raise WrongAddress("the host has no address")
    if not all(is_allowed(address, networks) for address in found):
        raise WrongAddress("the host lies in a private or reserved network")
    first = found[0]
    literal = f"[{first}]" if first.version == 6 else str(first)  # noqa: PLR2004
    path = parts.path or "/"
    query = f"?{parts.query}" if parts.query else ""
    return Target(f"{parts.scheme}://{literal}:{port}{path}{query}", host, parts.netloc)


def is_allowed(address: Address, networks: Sequence[Network]) -> bool:
    """Tell whether webhooks may reach an address: a public one, or one in the operator's own networks."""
    real = _inner(address)
    if any(real in network for network in networks if network.version == real.version):
        return True
    is_site_local = isinstance(real, ipaddress.IPv6Address) and real.is_site_local
    return real.is_global and not (real.is_multicast or real.is_reserved or is_site_local)


async def resolve_host(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(item[4][0]) for item in found]


def _literal(name: str) -> Address | None:
    """Return the address that a host is, written in any of the ways that resolvers understand."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except OSError:
        return None


def _inner(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 one, where packets would end up there."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _TRANSLATED) and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
