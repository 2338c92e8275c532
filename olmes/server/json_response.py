"""Answers as JSON, whatever text is in them.

A response or a reason may hold half of a surrogate pair, which UTF-8 cannot encode. On disk olmes
writes it escaped (`olmes.tools.jsonl`), and so does the server.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
from collections.abc import Callable
from typing import Any

from fastapi import Response
from fastapi.routing import APIRoute

READABLE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
ESCAPED = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


class JsonResponse(Response):
    """A JSON answer: as UTF-8, escaped where that cannot be; what is no number is null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        try:
            return encoded(content)
        except ValueError:
            return encoded(finite(content))


def encoded(content: Any) -> bytes:
    """A value as JSON.

    Raises:
        ValueError: it holds NaN or an infinity.
    """
    try:
        return READABLE.encode(content).encode("utf-8")
    except UnicodeEncodeError:
        return ESCAPED.encode(content).encode("ascii")


def finite(value: Any) -> Any:
    """A value with null for NaN and infinities, which a store of an older olmes may hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(member) for key, member in value.items()}
    return [finite(member) for member in value] if isinstance(value, (list, tuple)) else value


class JsonRoute(APIRoute):
    """A route whose answer is written as it is.

    FastAPI's own way holds an answer against its type first, and that refuses such texts. The type is
    in the document all the same.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, answering(endpoint, options.get("status_code") or 200), **options)


def answering(endpoint: Callable[..., Any], status: int) -> Callable[..., Any]:
    """An endpoint that answers with a `JsonResponse` of what it returned.

    A synchronous one is called in a thread, and there its answer is encoded.
    """

    def response(found: Any, arguments: dict[str, Any]) -> Any:
        if found is None or isinstance(found, Response):
            return found
        said = next((one for one in arguments.values() if isinstance(one, Response)), None)
        return JsonResponse(found, (said and said.status_code) or status)

    if inspect.iscoroutinefunction(endpoint):

        @functools.wraps(endpoint)
        async def answered_later(**arguments: Any) -> Any:
            return response(await endpoint(**arguments), arguments)

        return answered_later

    @functools.wraps(endpoint)
    def answered(**arguments: Any) -> Any:
        return response(endpoint(**arguments), arguments)

    return answered
