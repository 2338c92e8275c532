"""Which model on which server, and the key for it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from olmes.errors import OlmesError

OFFICIAL = "https://api.openai.com/v1"
KEYS = ("OLMES_API_KEY", "OPENAI_API_KEY")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model's name and the base address of its server."""

    model: str
    url: str
    """Normalised: lower-case host, no slash at the end, no credentials."""

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


def parse_endpoint(target: str) -> Endpoint:
    """`NAME@URL`, or `NAME` alone for the official endpoint.

    `/v1` is appended to a URL without a path; another path is taken as it is written.

    Raises:
        OlmesError: there is no name, or the address is not one.
    """
    found = re.fullmatch(
        r"(?P<name>.*)@(?P<url>https?://.*)", target.strip(), re.IGNORECASE | re.DOTALL
    )
    if not found and "@" in target:
        raise OlmesError(
            "what follows '@' is the address of a server; start it with http:// or https://, as in "
            "openai:NAME@http://127.0.0.1:8000/v1."
        )
    name = (found["name"] if found else target).strip()
    if not name:
        raise OlmesError("no model is named; write openai:NAME@URL.")
    if not found:
        return Endpoint(name, OFFICIAL)
    try:
        parts = urlsplit(found["url"])
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        host, port = "", None
    if not host or re.search(r"\s", found["url"]):
        raise OlmesError("the server's address cannot be read; write it as in http://HOST:8000/v1.")
    if parts.username is not None or parts.query or parts.fragment:
        # The address goes into records and on the screen; none of it is repeated here.
        raise OlmesError(
            "the server's address contains a password, a query or a fragment, which would end up in "
            "records; give scheme, host and path alone, and the key in $OLMES_API_KEY."
        )
    path = re.sub(r"/(chat/)?completions$", "", re.sub(r"/+", "/", parts.path).rstrip("/"))
    netloc = f"[{host}]" if ":" in host else host
    if port and port != {"http": 80, "https": 443}[parts.scheme.lower()]:
        netloc += f":{port}"
    return Endpoint(name, f"{parts.scheme.lower()}://{netloc}{path or '/v1'}")


def find_key(endpoint: Endpoint) -> str:
    """The key of the environment; empty when there is none.

    Raises:
        OlmesError: the official endpoint is asked without one, or it cannot be sent.
    """
    key = next((os.environ[name].strip() for name in KEYS if os.environ.get(name)), "")
    if not key and endpoint.url == OFFICIAL:
        raise OlmesError(
            f"{OFFICIAL} needs a key; set $OLMES_API_KEY or $OPENAI_API_KEY, or name another "
            "server: openai:NAME@URL."
        )
    if not (key.isascii() and key.isprintable()):
        raise OlmesError("the key contains characters that no key has; set $OLMES_API_KEY again.")
    return key
