"""The connection to a results server: what proves who asks, and what the environment says of the way.

Certificates of a private authority and proxies are those of `requests`: $REQUESTS_CA_BUNDLE,
$HTTPS_PROXY, $NO_PROXY; and $SSL_CERT_FILE, as with models that are asked over HTTPS.
"""

from __future__ import annotations

import os
import ssl
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.auth import AuthBase

from olmes.client.start_secret import HEADER, secret_of

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Variables that name a file of authorities, the one that counts first."""
NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL",
          "PACKET_LENGTH_TOO_LONG")  # fmt: skip
"""OpenSSL's words where the other end does not speak TLS."""
PRIVATE_CA = (
    "set $REQUESTS_CA_BUNDLE to the file of the authority that signed it, or address the server by "
    "the name in its certificate."
)


class TokenAuth(AuthBase):
    """A bearer token, which takes the place of what a `.netrc` or the address says."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add it to a request."""
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class ServerSession(requests.Session):
    """Connections to a results server.

    A token, or the secret of a server of this account on this machine, goes to that server and to
    nobody it redirects to.

    Args:
        token: of the server; '' for none.
    """

    def __init__(self, token: str) -> None:
        super().__init__()
        if token:
            # An `auth` of our own keeps `requests` from reading a .netrc, and from nothing else.
            self.auth = TokenAuth(token)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """A request with the secret of a server that this account started here.

        It is read anew each time: a server that was started again has another.
        """
        prepared = super().prepare_request(request)
        if secret := secret_of(prepared.url or ""):
            prepared.headers[HEADER] = secret
        return prepared

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request; once more where the server was started again since its secret was read."""
        answer = super().send(request, **options)
        if answer.status_code == 403:
            secret = secret_of(request.url or "")
            if secret and secret != request.headers.get(HEADER):
                answer.close()
                request.headers[HEADER] = secret
                answer = super().send(request, **options)
        return answer

    def merge_environment_settings(
        self,
        url: Any,
        proxies: Any,
        stream: Any,
        verify: Any,
        cert: Any,
    ) -> Any:
        """What the environment says of the way; to a server of this account here there is none."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if secret_of(url):
            settings["proxies"] = {}
        if settings["verify"] is True and self.trust_env:
            settings["verify"] = os.environ.get("SSL_CERT_FILE") or True
        return settings

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Take out of a redirected request what is for the first server alone."""
        headers = prepared_request.headers
        headers.pop(HEADER, None)
        first, then = response.request.url, prepared_request.url
        if first and then and self.should_strip_auth(first, then):
            headers.pop("Authorization", None)


def why_untrusted(error: BaseException, url: str) -> str:
    """What to do about a server's certificate or its want of TLS; '' where that is not the trouble.

    Trying again does not help against what this names. A connection that was cut off within the
    handshake is none of it.
    """
    text = str(error)
    if "TLS CA certificate bundle" in text or "NO_CERTIFICATE_OR_CRL_FOUND" in text:
        name = next((name for name in BUNDLES if os.environ.get(name)), BUNDLES[0])
        return (
            f"${name} names {os.environ.get(name)}, which is no CA bundle; name one, or unset it."
        )
    if not isinstance(error, requests.exceptions.SSLError):
        return ""
    if any(word in text.upper().replace(" ", "_") for word in NO_TLS):
        return f"{url} does not speak TLS; write http:// or the port of the proxy that does."
    if has(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in text:
        return f"the certificate of {url} is not trusted ({reason(error)}); {PRIVATE_CA}"
    return ""


def reason(error: BaseException) -> str:
    """What is wrong with a certificate, in OpenSSL's words."""
    found = next(
        (one for one in chain(error) if isinstance(one, ssl.SSLCertVerificationError)), None
    )
    return found.verify_message if found else "no known authority signed it"


def has(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error comes of one of another kind."""
    return any(isinstance(one, kind) for one in chain(error))


def chain(error: BaseException) -> list[BaseException]:
    """An error and those it comes of."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting and len(found) < 50:
        one = waiting.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found


def without_password(url: str) -> str:
    """An address as it may be shown: without a name and a password in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        scheme, mark, rest = url.partition("://")
        return f"{scheme}{mark}{rest.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def unreached(error: requests.RequestException, url: str) -> str:
    """What is said of a server that could not be reached, and what to look at."""
    if isinstance(error, requests.exceptions.ProxyError):
        return (
            f"the proxy on the way to {url} does not let the request through ({last(error)}); check "
            "$HTTPS_PROXY, or name the server in $NO_PROXY."
        )
    return f"{url} does not answer ({type(error).__name__}); check that `olmes serve` runs there."


def last(error: BaseException) -> str:
    """The reason at the bottom of an error."""
    found = [one for one in chain(error) if isinstance(one, OSError) and str(one)]
    return without_trailing_stop(str(found[-1])) if found else type(error).__name__


def without_trailing_stop(text: str) -> str:
    """A sentence's words, to stand within another."""
    return text.rstrip(". ")
