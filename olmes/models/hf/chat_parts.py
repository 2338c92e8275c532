"""Chats for templates that take a turn's content as a list of parts, as some of models that see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def in_parts(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages with each content as one part of text."""
    return [
        {**message, "content": [{"type": "text", "text": message["content"]}]}
        for message in messages
    ]


def loses_text(messages: Sequence[Mapping[str, Any]], rendered: str) -> bool:
    """Whether what the user said is missing from a rendered chat.

    A template that looks for parts finds none in a string, and leaves the text out without a word.
    """
    return any(
        message["content"].strip() not in rendered
        for message in messages
        if message["role"] == "user"
    )
