"""An answer that came as a stream of server-sent events, as the whole answer it would have been.

Source: the published API reference of streamed chat completions and completions; the WHATWG's
description of the event-stream format.
"""

from __future__ import annotations

import json
from typing import Any

JOINED = ("content", "text", "reasoning_content", "reasoning", "reasoning_text", "refusal")
"""Fields whose pieces are texts that follow one another."""
LISTED = ("reasoning_details", "thinking_blocks")
"""Fields whose pieces are lists that follow one another."""


def assembled(body: bytes) -> Any:
    """The answer whose pieces a stream holds.

    Raises:
        ValueError: a piece is not JSON, or there is none.
    """
    pieces = [json.loads(data) for data in events(body) if data != "[DONE]"]
    if not pieces:
        raise ValueError("a stream without an answer")
    if not any(is_choice(piece) for piece in pieces) and len(pieces) == 1:
        return pieces[0]
    answer: dict[str, Any] = {}
    choice: dict[str, Any] = {}
    message: dict[str, Any] = {}
    for piece in pieces:
        if not isinstance(piece, dict):
            raise ValueError("a stream whose pieces are no objects")
        for name in ("usage", "error"):
            if piece.get(name):
                answer[name] = piece[name]
        if not is_choice(piece):
            continue
        part = piece["choices"][0]
        delta = part.get("delta") or part.get("message") or {}
        add(message, delta if isinstance(delta, dict) else {})
        add(choice, {"text": part.get("text")})
        if weighed := log_probabilities(part, choice):
            choice["logprobs"] = weighed
        for name in ("finish_reason", "error"):
            if part.get(name):
                choice[name] = part[name]
    return answer | {"choices": [choice | {"message": message}]}


def is_choice(piece: Any) -> bool:
    """Whether a piece holds a part of a choice."""
    choices = piece.get("choices") if isinstance(piece, dict) else None
    return isinstance(choices, list) and bool(choices) and isinstance(choices[0], dict)


def add(found: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add the pieces of a delta to what there is."""
    for name in JOINED:
        piece = delta.get(name)
        if isinstance(piece, list):  # of parts; a text becomes one of them
            so_far = found.get(name, [])
            so_far = [{"type": "text", "text": so_far}] if isinstance(so_far, str) else so_far
            found[name] = [*so_far, *piece]
        elif isinstance(piece, str) and isinstance(found.get(name), list):
            found[name] = [*found[name], {"type": "text", "text": piece}]
        elif isinstance(piece, str):
            found[name] = found.get(name, "") + piece
    for name in LISTED:
        if isinstance(delta.get(name), list):
            found[name] = [*found.get(name, []), *delta[name]]


def log_probabilities(part: dict[str, Any], choice: dict[str, Any]) -> dict[str, Any]:
    """The lists of log-probabilities so far, with those of a piece behind them."""
    found: dict[str, Any] = choice.get("logprobs") or {}
    given = part.get("logprobs")
    for name, values in given.items() if isinstance(given, dict) else ():
        if isinstance(values, list):
            found = {**found, name: [*found.get(name, []), *values]}
    return found


def events(body: bytes) -> list[str]:
    """The data of the events of a stream, in their order; what is no data is passed over."""
    found: list[str] = []
    lines: list[str] = []
    for line in [*body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n"), ""]:
        if line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
        elif not line and lines:
            found.append("\n".join(lines))
            lines = []
    return found
