"""What a person said in a row of training data, whatever shape the row has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CHATS = ("messages", "conversations", "conversation", "prompt", "chosen")
"""Where a row has turns, the first that it has."""
PLAIN = (
    "prompt", "instruction", "instructions", "question", "problem", "query", "input", "inputs", "user",
    "human", "text",
)  # fmt: skip
"""Where it has none."""
PERSON = ("user", "human", "prompter")
ROLE, CONTENT = ("role", "from"), ("content", "value", "text")


def user_turns(row: Mapping[str, Any], fields: Sequence[str] = ()) -> list[str]:
    """The texts of a row that a model is asked with, each turn by itself.

    Args:
        row: of any of the shapes that trainings read: turns with roles, or texts in fields.
        fields: read these alone, all of them, as turns or texts; without them the known ones.
    """
    if fields:
        return [text for name in fields for text in (said(row.get(name)) or plain(row.get(name)))]
    for name in CHATS:
        if turns := said(row.get(name)):
            return turns
    return [text for name in PLAIN for text in plain(row.get(name))]


def said(turns: Any) -> list[str]:
    """What a person said in a list of turns; none in anything else."""
    listed = turns if isinstance(turns, Sequence) and not isinstance(turns, str) else ()
    return [text for turn in listed for text in said_by_person(turn)]


def said_by_person(turn: Any) -> list[str]:
    """The texts of a turn, where a person said it: one, or one a part that is no picture."""
    if not isinstance(turn, Mapping):
        return []
    role = next((turn[name] for name in ROLE if name in turn), "")
    content = next((turn[name] for name in CONTENT if name in turn), "")
    if not isinstance(role, str) or role.casefold() not in PERSON:
        return []
    parts = content if isinstance(content, list) else [content]
    return [
        text
        for part in parts
        for text in plain(part.get("text") if isinstance(part, Mapping) else part)
    ]


def plain(value: Any) -> list[str]:
    """A text that is not empty, as a list; none for anything else."""
    return [value] if isinstance(value, str) and value else []
