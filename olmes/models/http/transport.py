"""One request over HTTP: connection, deadline, and what can go wrong before there is an answer."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from olmes.errors import OlmesError
from olmes.models.http.errors import Answer, PassingError, UnreachableError
from olmes.models.http.pace import Patience

if TYPE_CHECKING:
    import ssl

    from aiohttp import ClientSession

    from olmes.models.http.wire import RequestBody

LARGEST_ANSWER = 64 << 20
"""Bytes; more is not an answer to a request for text."""
KEEP_ALIVE_SECONDS = 3.0
"""How long an idle connection is used again: shorter than the five seconds after which servers
close it, since a request that crosses with the closing is lost."""


def open_session(key: str, patience: Patience) -> ClientSession:
    """Connections to servers, kept open between requests. For one event loop."""
    import aiohttp

    from olmes import __version__

    headers = {"User-Agent": f"olmes/{__version__}", "Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, ssl=certificates(), keepalive_timeout=KEEP_ALIVE_SECONDS
        ),
        timeout=aiohttp.ClientTimeout(total=patience.answer, sock_connect=patience.connect),
        headers=headers,
        trust_env=True,  # the proxy settings of the environment
        cookie_jar=aiohttp.DummyCookieJar(),
    )


@cache
def certificates() -> ssl.SSLContext:
    """The system's authorities and Mozilla's list, or a bundle the user names."""
    import ssl

    import certifi  # comes with requests

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if (bundle := os.environ.get("REQUESTS_CA_BUNDLE")) and Path(bundle).is_file():
        context.load_verify_locations(bundle)
    return context


async def send(
    session: ClientSession, method: str, url: str, body: RequestBody | None, patience: Patience
) -> Answer:
    """Send a request and read the whole answer, of whatever status. Redirects are not followed.

    Raises:
        UnreachableError: no connection, or it broke before an answer.
        PassingError: the answer was cut off, took too long or is not HTTP.
        OlmesError: the server cannot prove who it is.
    """
    import aiohttp

    data = None if body is None else json.dumps(body).encode("ascii")
    try:
        async with session.request(method, url, data=data, allow_redirects=False) as response:
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
        reason = f"no connection within {patience.connect:g} s"
        raise UnreachableError(reason, counted=False) from None
    except aiohttp.ClientConnectorError as error:
        raise UnreachableError(plain_reason(error.os_error), counted=False) from None
    except TimeoutError:
        raise PassingError(
            f"no complete answer within {patience.answer:g} s", overload=True
        ) from None
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        raise UnreachableError(f"the connection broke ({plain_reason(error)})") from None
    except aiohttp.ClientPayloadError:
        raise PassingError("the answer was cut off before its end") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise PassingError(f"the answer is not HTTP ({type(error).__name__})") from None


def plain_reason(error: BaseException) -> str:
    """A network error in the system's words."""
    number = getattr(error, "errno", None)
    text = os.strerror(number) if isinstance(number, int) and number > 0 else str(error)
    return text or type(error).__name__
