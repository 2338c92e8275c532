"""Which model on which server."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from olmes.errors import OlmesError

OFFICIAL = "https://api.openai.com/v1"
VERSION = "api-version"
"""The one field of a query that an address may have (Azure's)."""
AZURE = ("azure.com", "azure-api.net", "azure.us", "azure.cn")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model's name and the base address of its server."""

    model: str
    url: str
    """Normalised: lower-case host, no slash at the end, no credentials."""
    query: str = ""
    """Appended to every address: Azure's `api-version=...`."""

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    @property
    def hostname(self) -> str:
        """The host alone."""
        return urlsplit(self.url).hostname or ""

    @property
    def azure(self) -> bool:
        """Whether it is asked in Azure's way, with the key in a header `api-key`."""
        under = any(self.hostname.endswith(f".{one}") for one in AZURE)
        return bool(self.query) or under

    @property
    def loopback(self) -> bool:
        """Whether what is sent stays on this machine."""
        if self.hostname == "localhost" or self.hostname.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.hostname).is_loopback
        except ValueError:
            return False

    @property
    def open_air(self) -> bool:
        """Whether what is sent goes over a network that anyone on the way can read."""
        return self.url.startswith("http://") and not self.loopback

    def of(self, path: str) -> str:
        """The address of a path of the server."""
        return f"{self.url}/{path}" + (f"?{self.query}" if self.query else "")

    def __str__(self) -> str:
        """As a user writes it."""
        return f"{self.model}@{self.url}" + (f"?{self.query}" if self.query else "")


def parse_endpoint(target: str) -> Endpoint:
    """`NAME@URL`, or `NAME` alone for the official endpoint.

    `/v1` is appended to a URL without a path (with an `api-version`, Azure's path of the deployment);
    another path is taken as it is written.

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
    fields = parse_qsl(parts.query, keep_blank_values=True)
    version = len(fields) == 1 and fields[0][0] == VERSION and fields[0][1].strip("/")
    if parts.username is not None or (parts.query and not version) or parts.fragment:
        # The address goes into records and on the screen; none of it is repeated here.
        raise OlmesError(
            "the server's address contains a password, a query or a fragment, which would end up in "
            f"records; give scheme, host and path alone (and ?{VERSION}=... for Azure), and the key in "
            "$OLMES_API_KEY."
        )
    path = re.sub(r"/(chat/)?completions$", "", re.sub(r"/+", "/", parts.path).rstrip("/"))
    netloc = f"[{host}]" if ":" in host else host
    if port and port != {"http": 80, "https": 443}[parts.scheme.lower()]:
        netloc += f":{port}"
    query = urlencode({VERSION: version}) if version else ""
    base = f"/openai/deployments/{quote(name, safe='')}" if query else "/v1"
    return Endpoint(name, f"{parts.scheme.lower()}://{netloc}{path or base}", query)
