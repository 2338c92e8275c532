"""Answers made outside of a route."""

from __future__ import annotations

from collections.abc import Mapping

from olmes.server.json_response import JsonResponse
from olmes.server.refusals import RefusedError


def refusal(refused: RefusedError, headers: Mapping[str, str] | None = None) -> JsonResponse:
    """A refusal as JSON: `{"error": {"field": ..., "message": ...}}`."""
    return JsonResponse({"error": refused.to_json()}, refused.status, dict(headers or {}))
