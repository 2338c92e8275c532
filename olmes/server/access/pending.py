"""Requests being answered, by whose token they came: they end when it is revoked.

An event stream would else go on for as long as its listener likes, and a slow upload or search too.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from olmes.server.access.token_book import TokenBook
from olmes.server.refusal_response import refusal
from olmes.server.refusals import RefusedError

INTERVAL = 0.7
"""Seconds between two looks at who was revoked."""


@dataclass(eq=False)
class Answering:
    """A request being answered."""

    scope: anyio.CancelScope
    started: bool = False
    counted: bool = False
    """Whether the answer said how long it is, so that it cannot end before."""
    ended: bool = False


class Pending:
    """The requests of every token that are being answered."""

    def __init__(self, book: TokenBook) -> None:
        self.book = book
        self.interval = INTERVAL
        self.by_name: dict[str, set[Answering]] = defaultdict(set)

    async def answer(
        self, name: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let an application answer a request, for as long as the token of this name is worth it."""
        one = Answering(anyio.CancelScope())

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                one.started = True
                one.counted = any(key == b"content-length" for key, _ in message["headers"])
            elif not message.get("more_body"):
                one.ended = True
            await send(message)

        self.by_name[name].add(one)
        try:
            with one.scope:
                await app(scope, receive, noted)
        finally:
            self.by_name[name].discard(one)
            if not self.by_name[name]:
                del self.by_name[name]
        if one.scope.cancelled_caught and not one.ended:
            if not one.started:
                refused = RefusedError(401, "this token is unknown or revoked.")
                await refusal(refused)(scope, receive, send)
            elif not one.counted:
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def end_revoked(self) -> None:
        """End the requests whose token is revoked by now."""
        if not self.by_name:
            return
        try:
            await self.book.read(time.monotonic() - INTERVAL)
        except RefusedError:  # nothing can be revoked while the database does not answer
            return
        for name in [name for name in self.by_name if name not in self.book.names]:
            for one in list(self.by_name[name]):
                one.scope.cancel()
