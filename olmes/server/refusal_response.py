"""Answers made outside of a route."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

from olmes.server.refusals import RefusedError


def refusal(refused: RefusedError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A refusal as JSON: `{"error": {"field": ..., "message": ...}}`."""
    found = dict(headers or {})
    if refused.status == 429:
        found.setdefault("retry-after", "1")
    return JSONResponse({"error": refused.to_json()}, refused.status, found)
