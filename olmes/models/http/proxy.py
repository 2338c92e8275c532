"""The proxy that the environment puts between here and a server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy on the way to a server."""

    address: str
    """Host and port, without the credentials that may stand before them."""
    variable: str
    """Where it is named."""
    host: str
    """The server's."""

    def __str__(self) -> str:
        """As a sentence names it."""
        return f"the proxy {self.address} of ${self.variable}"

    @property
    def remedy(self) -> str:
        """What to do where it does not let through."""
        return f"start the proxy, or reach the server without it: add {self.host} to $no_proxy"


def proxy_of(url: str) -> Proxy | None:
    """The proxy that requests to an address go through; None where they go straight there.

    By the rules of `urllib`, as aiohttp goes by them too.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    found = getproxies().get(parts.scheme, "")
    if not found or proxy_bypass(host):
        return None
    proxy = urlsplit(found if "//" in found else f"//{found}")
    names = (f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY")
    variable = next((name for name in names if os.environ.get(name)), names[0])
    return Proxy(proxy.netloc.rpartition("@")[2], variable, host)
