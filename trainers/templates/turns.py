"""Single turns of a chat, held against what a template writes of them."""

from __future__ import annotations

import json

from olmes.trainers.templates.rendering import SENTINEL, Chat, RefusedError, Turn

THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Keys of a turn under which data sets have a thought."""


def check_tools(text: str, chat: Chat) -> None:
    """Refuse a chat whose template leaves out what a tool returned: nobody would know it.

    Raises:
        RefusedError: it does.
    """
    for turn in chat:
        if turn["role"] == "tool":
            content = content_of(turn).strip()
            if content not in text and json.dumps(content, ensure_ascii=False)[1:-1] not in text:
                raise RefusedError("the chat template does not write what a tool returned")


def plain(turn: Turn) -> bool:
    """Whether a turn is nothing but its content."""
    extras = turn.keys() - {"role", "content"}
    return isinstance(turn["content"], str) and not any(turn[key] for key in extras)


def loses(answer: str, said: str, turn: Turn) -> bool:
    """Whether an answer as it is rendered, whose content is `said`, lacks something of its turn."""
    if plain(turn):
        return said != content_of(turn)
    thoughts = [turn.get(key) for key in THOUGHTS]
    return any(isinstance(one, str) and one.strip() not in answer for one in thoughts)


def content_of(turn: Turn) -> str:
    """What a turn says; '' where it only calls functions."""
    return str(turn["content"] or "")


def replaced(turn: Turn) -> Turn:
    """A turn that says `SENTINEL` where its content ends, or the arguments of its last call."""
    calls = turn.get("tool_calls")
    if not calls:
        return {**turn, "content": SENTINEL}
    last = calls[-1]
    function = last.get("function", last)
    text = isinstance(function.get("arguments"), str)
    arguments = f'{{"{SENTINEL}": 0}}' if text else {SENTINEL: 0}
    other = {**function, "arguments": arguments}
    return {
        **turn,
        "tool_calls": [*calls[:-1], {**last, "function": other} if "function" in last else other],
    }
