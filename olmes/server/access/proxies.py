"""Who asks when proxies stand in between: whom the named ones say, and nobody else's word."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from olmes.errors import OlmesError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
WITH_PORT = re.compile(r"\[(?P<six>[^\]]+)\](:[0-9]+)?|(?P<four>[0-9.]+):[0-9]+")
PAIR = re.compile(r'\s*([A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*')
MARKS = (
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
)
"""Headers that proxies add, beside those that begin with `x-forwarded`."""


def networks_of(named: Sequence[str]) -> tuple[Network, ...]:
    """The addresses and networks that `--proxy` names.

    Raises:
        OlmesError: one is neither.
    """
    found = []
    for text in named:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise OlmesError(
                f"{text!r} is not an address; --proxy takes one (10.0.0.7) or a network (10.0.0.0/24)."
            ) from None
    return tuple(found)


def came_by_proxy(scope: Scope, headers: Headers) -> bool:
    """Whether a request says that a proxy passed it on: by a header, or by HTTP/1.0.

    That is what nginx speaks unless it is told otherwise, and no browser or client of today does.
    """
    marked = any(name in MARKS or name.startswith("x-forwarded") for name in headers)
    return marked or scope.get("http_version") == "1.0"


class BehindProxies:
    """The ASGI application, with the client that named proxies speak for.

    Args:
        app: what answers.
        networks: of the proxies. What others say is left alone, and nobody reads it.
    """

    def __init__(self, app: ASGIApp, networks: tuple[Network, ...]) -> None:
        self.app = app
        self.networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as the client made it."""
        if scope["type"] == "http" and scope.get("client"):
            hop = seen_by_proxies(scope["client"][0], Headers(scope=scope), self.networks)
            scope = {**scope, "client": (hop.address, 0)} if hop.moved else scope
            if hop.scheme:
                scope = {**scope, "scheme": hop.scheme}
            if hop.host:
                scope = {**scope, "headers": list(scope["headers"])}
                MutableHeaders(scope=scope)["host"] = hop.host
        await self.app(scope, receive, send)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A client as the outermost named proxy saw it."""

    address: str
    moved: bool = False
    """Whether it is another than who is connected."""
    scheme: str = ""
    host: str = ""


def seen_by_proxies(peer: str, headers: Headers, networks: tuple[Network, ...]) -> Hop:
    """The client behind the named proxies: the first from the right that is none of them.

    Where two headers name different clients, one of them was not written by the proxy: then it is the
    proxy itself that asks.

    Args:
        peer: address of who is connected.
        headers: of the request.
        networks: of the named proxies.
    """
    if not named(address_of(peer), networks):
        return Hop(address=peer)
    ways = [way for way in (plain_way(headers), standard_way(headers)) if way]
    clients = {client_of(peer, (hop.address for hop in way), networks) for way in ways}
    if not ways and (real := address_of(headers.get("x-real-ip", ""))):
        clients = {str(real)}
    client = clients.pop() if len(clients) == 1 else peer
    outermost = next(
        (hop for way in ways for hop in reversed(way) if str(address_of(hop.address)) == client),
        Hop(address=peer),
    )
    scheme = outermost.scheme or last_of(headers, "x-forwarded-proto").lower()
    host = outermost.host or last_of(headers, "x-forwarded-host")
    return Hop(
        address=client,
        moved=client != peer,
        scheme=scheme if scheme in ("http", "https") else "",
        host=host if HOST.fullmatch(host) else "",
    )


def client_of(peer: str, way: Iterable[str], networks: tuple[Network, ...]) -> str:
    """The first address of a way, from the right, that is no named proxy's.

    An entry that is no address (`unknown`, a made-up name) ends the way: nobody is believed before it.
    """
    client = peer
    for entry in reversed(list(way)):
        address = address_of(entry)
        if address is None:
            break
        client = str(address)
        if not named(address, networks):
            break
    return client


def plain_way(headers: Headers) -> list[Hop]:
    """The addresses of `X-Forwarded-For`, the client's first."""
    entries = ",".join(headers.getlist("x-forwarded-for")).split(",")
    return [Hop(address=entry.strip()) for entry in entries if entry.strip()]


def standard_way(headers: Headers) -> list[Hop]:
    """The elements of `Forwarded` (RFC 7239), the client's first."""
    found = []
    for element in split_quoted(",".join(headers.getlist("forwarded")), ","):
        pairs: dict[str, str] = {}
        for part in split_quoted(element, ";"):
            if match := PAIR.fullmatch(part):
                value = match[2]
                if value.startswith('"'):
                    value = re.sub(r"\\(.)", r"\1", value[1:-1])
                pairs.setdefault(match[1].lower(), value)
        if element.strip():
            found.append(
                Hop(
                    address=pairs.get("for", "unknown"),
                    scheme=pairs.get("proto", "").lower(),
                    host=pairs.get("host", ""),
                )
            )
    return found


def split_quoted(text: str, mark: str) -> list[str]:
    """A text cut at a mark, where this does not stand in quotes."""
    return re.findall(rf'(?:[^{mark}"]|"(?:[^"\\]|\\.)*"?)+', text)


def last_of(headers: Headers, name: str) -> str:
    """What the nearest proxy said in a header that each may add to."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def address_of(text: str) -> Address | None:
    """The address in an entry, which may have a port and brackets; None where it is none."""
    text = text.strip()
    if match := WITH_PORT.fullmatch(text):
        text = match["six"] or match["four"]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def named(address: Address | None, networks: tuple[Network, ...]) -> bool:
    """Whether an address is a named proxy's."""
    return address is not None and any(address in network for network in networks)
