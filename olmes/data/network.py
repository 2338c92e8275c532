"""Whether there is a network: asked once a host, answered within seconds.

The libraries that fetch try again for half a minute and more before they say that a host cannot be
reached. A run over a suite on a machine without a network would wait for that at every task, so
each host is asked first, and what came of it is remembered for a minute.
"""

from __future__ import annotations

import os
import time
from urllib.parse import urlsplit

from olmes.errors import OlmesError

CONNECT_SECONDS = 3.05
"""How long a connection may take to open, for each address of a host."""
READ_SECONDS = 20.0
"""How long a server may be silent before it is given up."""
MEMORY_SECONDS = 60.0
"""How long a host's answer is remembered."""

_answers: dict[str, tuple[float, str]] = {}
"""By host: when it was asked, and why it could not be reached (empty when it could)."""


class NotFetched(OlmesError):  # noqa: N818 (it says what happened; another source may do)
    """One source has no data to give, for a reason that need not hold for the next."""


def offline() -> bool:
    """Whether `$OLMES_OFFLINE` forbids every network source."""
    return os.environ.get("OLMES_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def require(url: str) -> None:
    """Return when the host of `url` answers, with whatever status.

    Raises:
        NotFetched: `$OLMES_OFFLINE` is set, or the host does not answer.
        OlmesError: `url` is not the address of a web server.
    """
    if offline():
        raise NotFetched("OLMES_OFFLINE is set, so nothing is fetched; unset it to allow that.")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OlmesError(f"'{url}' is not the address of a web server; begin it with https://.")
    host = f"{parts.scheme}://{parts.netloc}"
    asked, reason = _answers.get(host, (0.0, ""))
    if not asked or time.monotonic() - asked > MEMORY_SECONDS:
        reason = _ask(host)
        _answers[host] = (time.monotonic(), reason)
    if reason:
        raise NotFetched(
            f"{parts.netloc} cannot be reached ({reason}); check the network or its proxy settings."
        )


def _ask(host: str) -> str:
    """Why `host` does not answer; empty when it does."""
    import requests

    try:
        # HEAD of the root, redirects not followed: one round trip and no body.
        requests.head(host, timeout=(CONNECT_SECONDS, READ_SECONDS), allow_redirects=False)
    except requests.exceptions.RequestException as error:
        return brief(error)
    return ""


def brief(error: BaseException) -> str:
    """The cause of a `requests` error in a few words, without the chain it is wrapped in."""
    cause: object = error
    while isinstance(cause, BaseException):
        inner = getattr(cause, "reason", None) or (cause.args[0] if cause.args else None)
        if not isinstance(inner, BaseException):
            break
        cause = inner
    text = str(cause).split(": ", 1)[-1].strip()
    return text or type(cause).__name__
