"""The proxy that the environment puts between here and a server."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from olmes.errors import OlmesError


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy on the way to a server."""

    address: str
    """Host and port, without the credentials that may stand before them."""
    variable: str
    """Where it is named."""
    host: str
    """The server's."""
    login: str = field(default="", repr=False)
    """USER:PASSWORD; empty where there is none."""

    def __str__(self) -> str:
        """As a sentence names it."""
        return f"the proxy {self.address} of ${self.variable}"

    @property
    def remedy(self) -> str:
        """What to do where it does not let through."""
        return f"start the proxy, or reach the server without it: add {self.host} to $no_proxy"

    def route(self, url: str, headers: Mapping[str, str]) -> Route:
        """How a request to an address is sent through it, with headers for the server alone."""
        found: Route = {"proxy": f"http://{self.address}", "headers": headers}
        if self.login:
            coded = base64.b64encode(self.login.encode()).decode()
            login = {"Proxy-Authorization": f"Basic {coded}"}
            if url.startswith("https://"):
                found["proxy_headers"] = login
            else:
                found["headers"] = {**headers, **login}
        return found


class Route(TypedDict, total=False):
    """What aiohttp is told of a proxy."""

    proxy: str
    headers: Mapping[str, str]
    proxy_headers: Mapping[str, str]
    """Of the request that opens a way through it."""


def proxy_of(url: str) -> Proxy | None:
    """The proxy that requests to an address go through; None where they go straight there.

    By the rules of `urllib`, as aiohttp goes by them too; it passes https:// proxies over.

    Raises:
        OlmesError: it is of a kind that cannot be gone through.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    found = getproxies().get(parts.scheme, "")
    if not found or proxy_bypass(host):
        return None
    proxy = urlsplit(found if "//" in found else f"http://{found}")
    names = (f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY")
    variable = next((name for name in names if os.environ.get(name)), names[0])
    if proxy.scheme == "https":
        return None
    if proxy.scheme != "http":
        raise OlmesError(
            f"${variable} names a {proxy.scheme} proxy, which requests cannot go through; name an "
            f"http:// one, or add {host} to $no_proxy."
        )
    login, _, address = proxy.netloc.rpartition("@")
    return Proxy(address, variable, host, unquote(login))
