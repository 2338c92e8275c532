"""Chats as data sets write them, read into turns with a role and a text.

Read are the turns of OpenAI's interface (`role`, `content`, calls of tools, parts of type text) and
those of ShareGPT (`from`, `value`). What else a template reads of a turn (`tool_calls`, a thought) has
another shape in every row, which a column of a data set cannot hold: it is kept as JSON text in the
row's `more`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypedDict

from olmes.errors import OlmesError

ROLES: Mapping[str, str] = {
    **{name: name for name in ("system", "user", "assistant", "tool")},
    "developer": "system",
    "human": "user",
    **dict.fromkeys(("gpt", "chatgpt", "model", "bot", "function_call", "tool_call"), "assistant"),
    **dict.fromkeys(("function", "function_response", "tool_response", "observation"), "tool"),
    "ipython": "tool",
}
"""Names of roles in data sets, and what they are here."""
CALLING = ("function_call", "tool_call")
"""Names of turns whose text is a call."""
KEPT = ("tool_calls", "tool_call_id", "name", "reasoning_content", "reasoning", "thinking")
"""What a template may read of a turn, beside its role and its content."""


class Turn(TypedDict):
    """One turn as a column holds it."""

    role: str
    content: str


WholeTurn = dict[str, Any]
"""A turn with everything that a template may read."""


def chat(value: Any, name: str) -> list[WholeTurn]:
    """A chat, each turn a role, a text and what else a template reads; a bare text is one user turn.

    Raises:
        OlmesError: it is something else; `name` is the key that is said to be wrong.
    """
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence) or not value:
        raise OlmesError(f"'{name}' must be a list of turns with a role and a content")
    return [turn_of(turn, name) for turn in value]


def turn_of(turn: Any, name: str) -> WholeTurn:
    """One turn.

    Raises:
        OlmesError: it has no role that is known, or a content that is no text.
    """
    wrong = OlmesError(f"'{name}' must be a list of turns with a role and a content")
    if not isinstance(turn, Mapping):
        raise wrong
    called = turn.get("role", turn.get("from"))
    content = turn.get("content", turn.get("value"))
    if not isinstance(called, str) or (content is None and not turn.get("tool_calls")):
        raise wrong
    role = ROLES.get(called.lower())
    if role is None:
        raise OlmesError(
            f"'{name}' must be a list of turns with a role and a content; '{called}' is no role "
            f"(there are {', '.join(ROLES)})"
        )
    kept = {key: turn[key] for key in KEPT if turn.get(key)}
    if called in CALLING and (calls := calls_in(content)):
        content, kept["tool_calls"] = "", calls
    if "tool_calls" in kept:
        kept["tool_calls"] = [call_of(call, name) for call in kept["tool_calls"]]
    return {"role": role, "content": text_of(content, name), **kept}


def text_of(content: Any, name: str) -> str:
    """A content as text: parts of type text are joined.

    Raises:
        OlmesError: a part is something else: an image, say.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise OlmesError(f"'{name}' must be a list of turns with a role and a content")
    texts: list[str] = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            raise OlmesError(
                f"'{name}' has a part of type '{kind}'; models are trained on text alone: leave rows "
                "with other parts out"
            )
    return "".join(texts)


def call_of(call: Any, name: str) -> dict[str, Any]:
    """A call as templates read it: a function with a name and arguments, an object where they are one.

    Raises:
        OlmesError: it has no name.
    """
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise OlmesError(f"a call in 'tool_calls' of '{name}' is a function with a name")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        with suppress(ValueError):  # else what the model wrote is learned as it stands
            arguments = json.loads(arguments or "{}")
    made = {"name": function["name"], "arguments": without_none(arguments)}
    known = {"id": call["id"]} if call.get("id") else {}
    return {**known, "type": "function", "function": made}


def calls_in(text: Any) -> list[Any]:
    """The calls that a text is JSON of; none where it is not."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return []
    calls = found if isinstance(found, list) else [found]
    return calls if all(isinstance(call, Mapping) and "name" in call for call in calls) else []


def tools_of(value: Any) -> list[dict[str, Any]]:
    """The functions that may be called, each as `{"type": "function", "function": {...}}`.

    Args:
        value: a list of JSON schemas, or its JSON text; None and '' are no functions.

    Raises:
        OlmesError: it is something else.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            raise OlmesError("'tools' must be a list of functions, or its JSON text") from None
    if not value:
        return []
    if not isinstance(value, Sequence) or not all(isinstance(tool, Mapping) for tool in value):
        raise OlmesError("'tools' must be a list of functions, or its JSON text")
    tools = [without_none(tool) for tool in value]
    return [
        tool if "function" in tool else {"type": "function", "function": tool} for tool in tools
    ]


def without_none(value: Any) -> Any:
    """A value without keys that have none: a column of a data set gives every row the keys of all."""
    if isinstance(value, Mapping):
        return {key: without_none(held) for key, held in value.items() if held is not None}
    return [without_none(held) for held in value] if isinstance(value, list) else value


def columns(
    parts: Mapping[str, Sequence[WholeTurn]], tools: Sequence[Any] = ()
) -> tuple[dict[str, list[Turn]], str]:
    """Chats as columns hold them, and `more`: JSON text of everything else, '' where there is nothing.

    Args:
        parts: by name of a column, the turns.
        tools: functions that may be called.
    """
    held: dict[str, list[Turn]] = {}
    more: dict[str, Any] = {"tools": list(tools)} if tools else {}
    for name, turns in parts.items():
        held[name] = [Turn(role=turn["role"], content=turn["content"]) for turn in turns]
        extras = {
            str(index): {key: turn[key] for key in KEPT if key in turn}
            for index, turn in enumerate(turns)
            if any(key in turn for key in KEPT)
        }
        if extras:
            more[name] = extras
    return held, json.dumps(more, ensure_ascii=False) if more else ""


def whole_chat(row: Mapping[str, Any], column: str) -> list[WholeTurn]:
    """The turns of a row's column, with what `more` holds of them."""
    turns: list[WholeTurn] = [dict(turn) for turn in row[column]]
    if more := row.get("more"):
        for index, extras in json.loads(more).get(column, {}).items():
            turns[int(index)] |= extras
    return turns


def row_tools(row: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The functions of a row that may be called; None where it has none."""
    more = row.get("more")
    found: list[dict[str, Any]] | None = json.loads(more).get("tools") if more else None
    return found
