"""HEAD on every address that GET has: load balancers and link checkers ask so."""

from __future__ import annotations

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """The ASGI application, asked for the headers alone as it would be for everything."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; of the answer to HEAD leave the body out."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        # A copy: who sends the answer has to know that it is one to HEAD.
        asked = dict(scope, method="GET")
        with anyio.CancelScope() as answering:

            async def headers_alone(message: Message) -> None:
                if message["type"] != "http.response.body":
                    await send(message)
                elif not answering.cancel_called:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    answering.cancel()  # a stream of events would never end

            await self.app(asked, receive, headers_alone)
        if "route" in asked:
            scope["route"] = asked["route"]
