"""Answers made outside of a route: JSON for programs, a page for people."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from olmes.server.json_response import JsonResponse
from olmes.server.refusals import RefusedError

HTML = "text/html"
API = "/api/"


class Refusal(JsonResponse):
    """A refusal as JSON, `{"error": {"field": ..., "message": ...}}`; a page where a browser asks."""

    def __init__(self, refused: RefusedError, headers: Mapping[str, str]) -> None:
        super().__init__(
            {"error": refused.to_json()}, refused.status, {**headers, "vary": "accept"}
        )
        self.refused = refused
        self.own = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it in the form that the request asks for."""
        wanted = Headers(scope=scope).get("accept", "")
        if HTML not in wanted or scope["path"].startswith(API):
            await super().__call__(scope, receive, send)
            return
        from olmes.server.pages.refused_page import refused_page

        body, policy = refused_page(self.refused, scope["path"])
        headers = {**self.own, "vary": "accept", "content-security-policy": policy}
        answer = Response(body, self.refused.status, headers, f"{HTML}; charset=utf-8")
        await answer(scope, receive, send)


def refusal(refused: RefusedError, headers: Mapping[str, str] | None = None) -> Refusal:
    """A refusal as an answer.

    Args:
        refused: what is refused, and why.
        headers: that it has besides.
    """
    found = dict(headers or {})
    if refused.status == 429:
        found.setdefault("retry-after", "1")
    return Refusal(refused, found)
