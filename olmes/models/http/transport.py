"""One request over HTTP: connection, deadline, and what can go wrong before there is an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from olmes.errors import OlmesError
from olmes.models.http.certificates import certificates, why_not
from olmes.models.http.errors import Answer, PassingError, UnreachableError
from olmes.models.http.pace import Patience
from olmes.models.http.proxy import Proxy, proxy_of

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from olmes.models.http.wire import RequestBody

LARGEST_ANSWER = 64 << 20
"""Bytes; more is not an answer to a request for text."""
KEEP_ALIVE_SECONDS = 3.0
"""How long an idle connection is used again: shorter than the five seconds after which servers
close it, since a request that crosses with the closing is lost."""


def open_session(url: str, patience: Patience) -> ClientSession:
    """Connections to a server, kept open between requests. For one event loop.

    Args:
        url: the server's.
        patience: how long to wait.

    Raises:
        OlmesError: a CA bundle that the environment names is none.
    """
    import aiohttp

    from olmes import __version__

    headers = {"User-Agent": f"olmes/{__version__}", "Content-Type": "application/json"}
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            ssl=certificates() if url.startswith("https://") else True,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
        ),
        timeout=aiohttp.ClientTimeout(total=patience.answer, sock_connect=patience.connect),
        # The key is none of these: aiohttp sends a session's headers to a proxy as well.
        headers=headers,
        # Proxies are looked up in `send`; the passwords of a .netrc are no keys of ours.
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def send(
    session: ClientSession,
    url: str,
    body: RequestBody | None,
    headers: Mapping[str, str],
    patience: Patience,
) -> Answer:
    """Send a request and read the whole answer, of whatever status. Redirects are not followed.

    Args:
        session: the connections.
        url: where to.
        body: what to POST; None sends a GET.
        headers: for the server alone.
        patience: how long to wait.

    Raises:
        UnreachableError: no connection, or it broke before an answer.
        PassingError: the answer was cut off, took too long or is not HTTP.
        OlmesError: the server cannot prove who it is, or a proxy lets nothing through.
    """
    import aiohttp

    proxy = proxy_of(url)
    way = f" through {proxy}" if proxy else ""
    remedy = proxy.remedy if proxy else ""
    data = None if body is None else json.dumps(body).encode("ascii")
    try:
        async with session.request(
            "GET" if body is None else "POST",
            url,
            data=data,
            allow_redirects=False,
            **(proxy.route(url, headers) if proxy else {"headers": headers}),
        ) as response:
            read = bytearray()
            async for chunk in response.content.iter_any():
                read += chunk
                if len(read) > LARGEST_ANSWER:
                    raise PassingError(f"an answer of more than {LARGEST_ANSWER >> 20} MiB")
            return Answer(response.status, response.headers, bytes(read))
    except aiohttp.ClientConnectorCertificateError as error:
        raise OlmesError(
            f"the certificate of {error.host} cannot be verified ({error.certificate_error}); "
            "set $SSL_CERT_FILE to the CA bundle of its authority."
        ) from None
    except aiohttp.ConnectionTimeoutError:
        reason = f"no connection within {patience.connect:g} s{way}"
        raise UnreachableError(reason, counted=False, remedy=remedy) from None
    except aiohttp.ClientHttpProxyError as error:
        raise refused_by(proxy, error.status) from None
    except aiohttp.ClientProxyConnectionError as error:
        reason = f"{proxy} does not answer: {why_not(error.os_error)}"
        raise UnreachableError(reason, counted=False, remedy=remedy) from None
    except aiohttp.ClientConnectorError as error:
        reason = f"{why_not(error.os_error)}{way}"
        raise UnreachableError(reason, counted=False, remedy=remedy) from None
    except TimeoutError:
        raise PassingError(
            f"no complete answer within {patience.answer:g} s", overload=True
        ) from None
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        raise UnreachableError(
            f"the connection broke ({why_not(error)}){way}", remedy=remedy
        ) from None
    except aiohttp.ClientPayloadError:
        raise PassingError("the answer was cut off before its end") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise PassingError(f"the answer is not HTTP ({type(error).__name__}){way}") from None


def refused_by(proxy: Proxy | None, status: int) -> Exception:
    """The error where a proxy does not open a way to the server."""
    if status in (403, 405, 407):
        what = (
            "wants a user name and a password" if status == 407 else "does not let requests through"
        )
        remedy = proxy.remedy if proxy else "reach the server without it"
        return OlmesError(f"{proxy} {what} ({status}); {remedy}.")
    return PassingError(f"{proxy} finds no way to the server ({status})")
