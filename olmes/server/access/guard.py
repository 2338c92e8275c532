"""Who may ask for what: hosts, tokens, roles, origins, rates, and the headers of every answer.

It stands before every route, so that a new route is closed until it is opened here.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from olmes.client.start_secret import HEADER, is_loopback, is_this_machine
from olmes.server.access.audit import LOCAL, Caller, write_audit
from olmes.server.access.limits import RateLimit
from olmes.server.access.pending import Pending
from olmes.server.access.proxies import came_by_proxy
from olmes.server.access.tokens import ROLES
from olmes.server.observe import log
from olmes.server.refusal_response import refusal
from olmes.server.refusals import RefusedError
from olmes.server.store.database import Database

SAFE = ("GET", "HEAD", "OPTIONS")
OPEN_PATHS = ("/healthz",)
ADMIN_PATHS = ("/api/v1/audit",)
MOST_JSON = 1 << 20
"""Bytes of a body that is not a file."""
HOST = re.compile(
    r"(?:\[(?P<address>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,255}))(?::(?P<port>[0-9]{1,5})?)?"
)
LAST_PORT = 65535
LENGTH = re.compile("[0-9]{1,15}")
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The content security policy of an answer that is not a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests a second and at once; 0 for no limit."""

    rate: float = 100.0
    burst: float = 500.0


class Guard:
    """The ASGI application, with a door.

    Args:
        app: what answers.
        database: for the audit log.
        pending: of the tokens that are let in.
        rates: requests a caller may make.
        secret: of this start: who sends it runs the server, while there are no tokens; '' for nobody.
    """

    def __init__(
        self, app: ASGIApp, database: Database, pending: Pending, rates: Rates, secret: str = ""
    ) -> None:
        self.app = app
        self.database = database
        self.pending = pending
        self.book = pending.book
        self.secret = secret
        self.limit = RateLimit(rates.rate, rates.burst)
        # Ten tries, then one every ten seconds: nobody guesses, and a wrong script notices.
        self.failures = RateLimit(0.1, 10)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = with_headers(send)
        try:
            caller = await self.admit(scope, headers)
        except RefusedError as refused:
            extra = {}
            if refused.status == 401:
                extra["www-authenticate"] = 'Basic realm="olmes: any name, a token as password"'
            if refused.status == 429:
                extra["retry-after"] = refused.field or "1"
                refused.field = ""
            await refusal(refused, extra)(scope, receive, answer)
            return
        scope.setdefault("state", {})["caller"] = caller
        if caller.name in ("", LOCAL.name):
            await self.app(scope, receive, answer)
        else:
            await self.pending.answer(caller.name, self.app, scope, receive, answer)

    async def admit(self, scope: Scope, headers: Headers) -> Caller:
        """Who asks, if they may.

        Raises:
            RefusedError: they may not.
        """
        path, method = scope["path"], scope["method"]
        address = scope["client"][0] if scope.get("client") else ""
        host_of(headers)  # before addresses are made of it
        check_body(scope, headers)
        if path in OPEN_PATHS:
            return Caller("", "", address)
        if locked := await self.book.needed():
            caller = await self.bearer(headers, method, address)
        else:
            if came_by_proxy(scope, headers):
                raise elsewhere()
            caller = local_caller(headers, address, self.secret)
        who = caller.name if locked else address
        if seconds := self.limit.wait(who):
            raise RefusedError(429, "too many requests; slow down.", str(int(seconds) + 1))
        if method not in SAFE:
            check_origin(headers)
        needed = needed_role(path, method)
        if ROLES.index(caller.role) < ROLES.index(needed):
            if not locked:
                raise RefusedError(
                    403,
                    "without a token this needs the account that started the server, whose `olmes "
                    "push` and `olmes.Client` prove it by themselves; for others make tokens with "
                    "`olmes token create`.",
                )
            raise RefusedError(403, f"this needs a token with the role {needed}.")
        return caller

    async def bearer(self, headers: Headers, method: str, address: str) -> Caller:
        """The caller that a token names.

        Raises:
            RefusedError: there is no token, or it is not one of this server.
        """
        token = token_of(headers, method)
        if not token:
            raise RefusedError(401, "this server needs a token: Authorization: Bearer olmes_...")
        # Looked up before wrong ones are counted: a right token always passes.
        known = await self.book.find(token)
        if known is None:
            if seconds := self.failures.wait(address):
                raise RefusedError(429, "too many wrong tokens; wait.", str(int(seconds) + 1))
            await to_thread.run_sync(self.note_failure, address)
            raise RefusedError(401, "this token is unknown or revoked.")
        # One of this name is from before it was kept for whoever runs the server.
        name = known.name if known.name != LOCAL.name else f"token {known.name}"
        return Caller(name, known.role, address)

    def note_failure(self, address: str) -> None:
        """Write a wrong token into the audit log; how many there can be is limited."""
        try:
            with self.database.writing() as connection:
                write_audit(connection, Caller("", "", address), "wrong token", "")
        except SQLAlchemyError as error:  # a locked database, say: the refusal stands all the same
            facts = {"address": address, "why": str(error)}
            log.warning("a wrong token was not noted", extra={"facts": facts})


def token_of(headers: Headers, method: str) -> str:
    """The token of a request; '' where there is none.

    A browser is let in by HTTP's Basic authentication with a token as the password, for reading
    only: what it sends by itself must not change anything.
    """
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic" and method in SAFE:
        try:
            return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except ValueError:  # not base64, or not UTF-8 behind it
            return ""
    return ""


def local_caller(headers: Headers, address: str, secret: str = "") -> Caller:
    """Whoever asks a server without tokens: this machine, and no page of another site.

    Everybody there may look; the account that started the server proves itself by its secret, and may
    do everything. A proxy that does not say that it is one asks from this machine too.

    Raises:
        RefusedError: the request comes from elsewhere, through a proxy, or under another host's name.
    """
    if not is_loopback(address) or came_by_proxy({}, headers):
        raise elsewhere()
    host = host_of(headers)
    if not is_this_machine(host):
        # Else a site that gives its own name the address 127.0.0.1 could read everything.
        raise RefusedError(403, f"{host[:80]!r} is not this machine's name.", "host")
    sent = headers.get(HEADER) or token_of(headers, "")
    if secret and hmac.compare_digest(sent.encode("utf-8", "replace"), secret.encode()):
        return Caller(LOCAL.name, "admin", address)
    return Caller("", "read", address)


def host_of(headers: Headers) -> str:
    """The name or address in the Host header, in lower case; '' where there is no such header.

    Raises:
        RefusedError: there are several, or it is not a host with or without a port.
    """
    said = headers.getlist("host")
    if not said:
        return ""
    match = HOST.fullmatch(said[0])
    if len(said) > 1 or match is None or int(match["port"] or 0) > LAST_PORT:
        raise RefusedError(400, "the Host header is not one host, or a host and its port.", "host")
    return (match["address"] or match["name"]).lower()


def elsewhere() -> RefusedError:
    """What somebody is told whom a server without tokens does not answer."""
    return RefusedError(
        403, "this server has no tokens and answers its own machine alone; see `olmes token`."
    )


def check_origin(headers: Headers) -> None:
    """Refuse a change that a page of another site asks for.

    Raises:
        RefusedError: the browser says that it comes from elsewhere.
    """
    own = headers.get("host")
    other = any(place_of(origin) != own for origin in headers.getlist("origin"))
    if other or headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise RefusedError(403, "a page of another site must not change anything here.", "origin")


def place_of(origin: str) -> str:
    """Host and port of an origin; '' where it has none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:  # a bracket without its other half
        return ""


def check_body(scope: Scope, headers: Headers) -> None:
    """Refuse bodies that are packed or too large before they are read.

    Raises:
        RefusedError: it is one.
    """
    if headers.get("content-encoding", "identity") != "identity":
        raise RefusedError(415, "send the body as it is, not compressed.", "content-encoding")
    if is_file(scope["path"]):
        return
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not LENGTH.fullmatch(length) or int(length) > MOST_JSON:
        raise RefusedError(413, f"a body has at most {MOST_JSON:,} bytes, said in Content-Length.")


def is_file(path: str) -> bool:
    """Whether a path takes files, which are counted as they arrive."""
    return path == "/api/v1/ledger" or path.startswith("/api/v1/uploads/")


def needed_role(path: str, method: str) -> str:
    """The role that a request needs."""
    if path.startswith(ADMIN_PATHS) or (method == "DELETE" and path.startswith("/api/v1/runs")):
        return "admin"
    return "read" if method in SAFE else "write"


def with_headers(send: Send) -> Send:
    """`send`, with the headers that every answer has."""

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("content-security-policy", POLICY)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return answer
