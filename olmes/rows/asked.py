"""The chat that a row of a data set asks, for models to answer anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from olmes.rows.texts import CONTENT, PERSON, PLAIN, ROLE
from olmes.types import Message

CHATS = ("messages", "conversations", "conversation", "prompt", "chosen")
"""Where a row has turns, the first that it has."""
MODELS = ("assistant", "gpt", "chatgpt", "model", "bot")
SYSTEMS = ("system", "developer")


def asked(row: Mapping[str, Any]) -> tuple[Message, ...]:
    """The turns of a row up to a person's last one; empty where no person asks anything.

    Answers behind it are what models are to write anew. A turn that is not text, or of another role
    than system, user and assistant (a tool's), makes the row one that cannot be asked, as does an
    Alpaca row's missing instruction.
    """
    for name in CHATS:
        turns = row.get(name)
        if isinstance(turns, list) and turns:
            return up_to_a_person(turns)
    for name in PLAIN:
        text = row.get(name)
        if isinstance(text, str) and text.strip():
            if name == "instruction" and isinstance(row.get("input"), str) and row["input"]:
                text = f"{text}\n\n{row['input']}"
            return with_system(row, (Message(role="user", content=text),))
    return ()


def up_to_a_person(turns: list[Any]) -> tuple[Message, ...]:
    """The turns up to a person's last one; empty where one of them is none that a model is given."""
    found: list[Message] = []
    last = 0
    for turn in turns:
        message = message_of(turn)
        if message is None:
            break
        found.append(message)
        if message["role"] == "user":
            last = len(found)
    return tuple(found[:last])


def message_of(turn: Any) -> Message | None:
    """One turn with a role and a text; None where it is something else."""
    if not isinstance(turn, Mapping):
        return None
    called = next((turn[name] for name in ROLE if name in turn), None)
    text = next((turn[name] for name in CONTENT if name in turn), None)
    role: Literal["system", "user", "assistant"]
    if called in PERSON:
        role = "user"
    elif called in MODELS:
        role = "assistant"
    elif called in SYSTEMS:
        role = "system"
    else:
        return None
    return Message(role=role, content=text) if isinstance(text, str) else None


def with_system(row: Mapping[str, Any], turns: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns behind the row's own `system`, where it has one beside them."""
    system = row.get("system")
    if isinstance(system, str) and system:
        return (Message(role="system", content=system), *turns)
    return turns
