"""Answers made outside of a route."""

from __future__ import annotations

from collections.abc import Mapping

from olmes.server.json_response import JsonResponse
from olmes.server.refusals import RefusedError


def refusal(refused: RefusedError, headers: Mapping[str, str] | None = None) -> JsonResponse:
    """A refusal as JSON: `{"error": {"field": ..., "message": ...}}`."""
    found = dict(headers or {})
    if refused.status == 429:
        found.setdefault("retry-after", "1")
    return JsonResponse({"error": refused.to_json()}, refused.status, found)
