"""Answers made outside of a route."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

from olmes.server.refusals import RefusedError


def refusal(refused: RefusedError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A refusal as JSON: `{"error": {"field": ..., "message": ...}}`."""
    return JSONResponse({"error": refused.to_json()}, refused.status, headers)
